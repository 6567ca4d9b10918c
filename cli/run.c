#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/library.h"
#include "cli/program.h"
#include "shim/settings.h"

enum { MOST_NAME = 32 };

/* A setting's option: "--tls-handshake". */
static void option_of(const struct nd_setting *setting, char out[MOST_NAME]) {
    size_t at = 0;
    for (const char *c = setting->name; *c && at < MOST_NAME - 3; c++)
        out[at++] = *c == '_' ? '-' : (char)tolower((unsigned char)*c);
    out[at] = '\0';
}

/* The setting that `option` (`length` bytes, without dashes) is for, or NULL. */
static const struct nd_setting *setting_of(const char *option, size_t length) {
    char name[MOST_NAME];
    for (size_t i = 0; i < nd_setting_count; i++) {
        option_of(&nd_setting_table[i], name);
        if (strlen(name) == length && strncmp(name, option, length) == 0)
            return nd_setting_table[i].kind == ND_SETTING_UNREAD ? NULL : &nd_setting_table[i];
    }
    return NULL;
}

static const char *placeholder(enum nd_setting_kind kind) {
    switch (kind) {
    case ND_SETTING_TIME:
        return "TIME";
    case ND_SETTING_RATE:
        return "BYTES/TIME";
    case ND_SETTING_LOG:
        return "WHERE";
    case ND_SETTING_SWITCH:
        return "0|1";
    case ND_SETTING_ADDRESS:
        return "ADDRESS:PORT";
    default:
        return "WORD";
    }
}

static void print_help(FILE *to) {
    char name[MOST_NAME], option[MOST_NAME + 16];
    fprintf(to, "Usage: netdeadline run [OPTION VALUE]... [--] PROGRAM [ARGUMENT...]\n"
                "Executes PROGRAM with deadlines on its network calls.\n\n");
    for (size_t i = 0; i < nd_setting_count; i++) {
        const struct nd_setting *setting = &nd_setting_table[i];
        if (setting->kind == ND_SETTING_UNREAD)
            continue;
        option_of(setting, name);
        snprintf(option, sizeof option, "%s %s", name, placeholder(setting->kind));
        fprintf(to, "  --%-28s %s [%s]\n", option, setting->meaning, setting->default_text);
    }
    fprintf(to, "  --%-28s the libnetdeadline.so to use instead of the installed one\n", "library PATH");
    fprintf(to, "\nTIME is a duration such as 250ms, 3s or 1m30s, or off. An option that is not given leaves the\n"
                "environment's NETDEADLINE_ variable in force, or else the default in brackets.\n"
                "Exit status: that of PROGRAM; 2 for wrong usage, 125 if the library is missing, 126 if PROGRAM\n"
                "cannot be executed, 127 if it is not found.\n");
}

static int set_variable(const struct nd_setting *setting, const char *value) {
    char variable[MOST_NAME + sizeof "NETDEADLINE_"];
    snprintf(variable, sizeof variable, "NETDEADLINE_%s", setting->name);
    return setenv(variable, value, 1);
}

/* What the command line asks for. */
struct request {
    const char *library; /* NULL: find it */
    char **program;      /* its arguments, itself first */
};

/* Takes one option and its value into the environment or *request. */
static int take_option(const char *option, size_t length, const char *value, struct request *request) {
    struct nd_settings scratch = {0};
    if (length == strlen("library") && strncmp(option, "library", length) == 0) {
        request->library = value;
        return CLI_OK;
    }
    const struct nd_setting *setting = setting_of(option, length);
    if (nd_setting_read(setting, value, &scratch) != 0)
        return cli_usage_error("run", "--%.*s: '%s' is not %s", (int)length, option, value,
                               nd_setting_expects(setting->kind));
    if (set_variable(setting, value) != 0) {
        cli_complain("cannot set the environment: %s", strerror(errno));
        return CLI_FAILED;
    }
    return CLI_OK;
}

static bool is_option(const char *option, size_t length) {
    return (length == strlen("library") && strncmp(option, "library", length) == 0) || setting_of(option, length);
}

static int read_arguments(char **argv, struct request *request) {
    for (argv++; *argv && (*argv)[0] == '-'; argv++) {
        if (strcmp(*argv, "--") == 0) {
            argv++;
            break;
        }
        const char *option = *argv + 2;
        size_t length = strncmp(*argv, "--", 2) == 0 ? strcspn(option, "=") : 0;
        if (length == 0 || !is_option(option, length))
            return cli_usage_error("run", "there is no option '%s'", *argv);
        const char *value = option[length] == '=' ? option + length + 1 : *++argv;
        if (!value)
            return cli_usage_error("run", "--%s needs a value", option);
        int status = take_option(option, length, value, request);
        if (status != CLI_OK)
            return status;
    }
    request->program = argv;
    return *argv ? CLI_OK : cli_usage_error("run", "which program?");
}

/* Most of what users of preloaded libraries report is that it silently does nothing: say so before they wonder. */
static void warn_if_useless(const char *name, const struct library *library) {
    struct program program, shared;
    if (program_inspect(name, &program) != 0 || !program.is_elf)
        return;
    if (program.is_static) {
        cli_complain("%s is linked statically: no library can be preloaded into it, its calls are not bounded",
                     program.path);
    } else if (program.is_privileged) {
        cli_complain(
            "%s gains privileges when executed: the loader ignores LD_PRELOAD there, its calls are not bounded",
            program.path);
    } else if (!strstr(library->preload, "$LIB") && program_inspect_file(library->file, &shared) == 0 &&
               (shared.bits != program.bits || shared.machine != program.machine)) {
        cli_complain("%s is a %d-bit program of another kind than %s: its calls are not bounded", program.path,
                     program.bits, library->file);
    } else if (access("/etc/netdeadline.disable", F_OK) == 0) {
        cli_complain("/etc/netdeadline.disable exists: the calls of %s are not bounded", name);
    }
}

static int find_library(const char *path, struct library *library) {
    if (path && library_take(library, path) != 0)
        return cli_usage_error("run", "--library: cannot read '%s': %s", path, strerror(errno));
    if (!path && library_find(library) != 0) {
        cli_complain("libnetdeadline.so is not beside this command nor where it was installed; --library names it");
        return CLI_FAILED;
    }
    if (!library_is_tellable(library)) {
        cli_complain("the loader cannot be told '%s': its path has a colon or a blank", library->preload);
        return CLI_FAILED;
    }
    return CLI_OK;
}

static int run(int argc, char **argv) {
    struct request request = {0};
    struct library library;
    (void)argc;
    int status = read_arguments(argv, &request);
    if (status == CLI_OK)
        status = find_library(request.library, &library);
    if (status != CLI_OK || !request.program)
        return status;
    warn_if_useless(request.program[0], &library);
    if (library_preload(&library) != 0) {
        cli_complain("cannot set LD_PRELOAD: %s", strerror(errno));
        return CLI_FAILED;
    }
    execvp(request.program[0], request.program);
    status = errno == ENOENT ? CLI_NOT_FOUND : CLI_CANNOT_EXECUTE;
    cli_complain("cannot execute '%s': %s", request.program[0], strerror(errno));
    return status;
}

const struct cli_command cli_run_command = {
    .name = "run",
    .summary = "executes a program with deadlines on its network calls",
    .run = run,
    .help = print_help,
};
