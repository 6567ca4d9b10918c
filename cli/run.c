#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/loader.h"
#include "cli/options.h"
#include "cli/preload.h"
#include "cli/program.h"

static void print_help(FILE *to) {
    fprintf(to, "Usage: netdeadline run [OPTION VALUE]... [--] PROGRAM [ARGUMENT...]\n"
                "Executes PROGRAM with deadlines on its network calls.\n\n");
    options_print_help(to);
    fprintf(to, "\nTIME is a duration such as 250ms, 3s or 1m30s, or off. An option that is not given leaves the\n"
                "environment's NETDEADLINE_ variable in force, or else the default in brackets.\n"
                "Exit status: that of PROGRAM; 2 for wrong usage, 125 if the library is missing, 126 if PROGRAM\n"
                "cannot be executed, 127 if it is not found.\n");
}

static int set_variables(const struct options *options) {
    char variable[64];
    for (size_t i = 0; i < nd_setting_count; i++) {
        snprintf(variable, sizeof variable, "NETDEADLINE_%s", nd_setting_table[i].name);
        if (options->values[i] && setenv(variable, options->values[i], 1) != 0) {
            cli_warn("cannot set the environment: %s", strerror(errno));
            return CLI_FAILED;
        }
    }
    return CLI_OK;
}

/* Whether a library that can be read is of the program's class and machine. */
static bool is_of_kind(const char *file, const struct program *program) {
    struct program shared;
    return program_inspect_file(file, &shared) != 0 ||
           (shared.bits == program->bits && shared.machine == program->machine);
}

/* Warns where the library would have no effect. What users of preloaded libraries report most is that nothing
 * happens. */
static void warn_if_useless(const char *name, struct library *library) {
    struct program program;
    if (program_inspect(name, &program) != 0 || !program.is_elf)
        return;
    if (program.is_static) {
        cli_warn("%s is linked statically: no library can be preloaded into it, its calls are not bounded",
                 program.path);
    } else if (program.is_privileged) {
        cli_warn("%s gains privileges when executed: the loader ignores LD_PRELOAD there, its calls are not bounded",
                 program.path);
    } else if (strstr(library->preload, "$LIB") && loader_takes(program.path, library) == LOADER_IGNORES) {
        if (is_of_kind(library->file, &program)) /* an old loader makes something else of $LIB */
            strcpy(library->preload, library->file);
        else
            cli_warn("%s finds no library of its kind (%d-bit) at %s: its calls are not bounded", program.path,
                     program.bits, library->preload);
    } else if (!strstr(library->preload, "$LIB") && !is_of_kind(library->file, &program)) {
        cli_warn("%s is a %d-bit program of another kind than %s: its calls are not bounded", program.path,
                 program.bits, library->file);
    } else if (access("/etc/netdeadline.disable", F_OK) == 0) {
        cli_warn("/etc/netdeadline.disable exists: the calls of %s are not bounded", name);
    }
}

/* AddressSanitizer's runtime ends a program in which it is not the first library. */
static int set_preload(const char *name, const struct library *library) {
    struct program program;
    char runtime[NAME_MAX + 1];
    bool has_runtime =
        program_inspect(name, &program) == 0 && program.is_elf && preload_runtime_of(program.path, runtime);
    int result = preload_set(library, has_runtime ? runtime : NULL);
    if (result < 0) {
        cli_warn("cannot set LD_PRELOAD: %s", strerror(errno));
        return CLI_FAILED;
    }
    if (result > 0)
        cli_warn("%s is built with a sanitizer: %s is loaded before the library", program.path, runtime);
    return CLI_OK;
}

static int run(int argc, char **argv) {
    struct options options;
    struct library library;
    int status = options_read(&options, &cli_run_command, argc, argv);
    char **program = argv + optind;
    if (status == CLI_OK && !program[0])
        status = cli_usage_error(&cli_run_command, "which program?");
    if (status == CLI_OK)
        status = options_find_library(&options, &cli_run_command, &library);
    if (status == CLI_OK)
        status = set_variables(&options);
    if (status != CLI_OK)
        return status;
    warn_if_useless(program[0], &library);
    if (set_preload(program[0], &library) != CLI_OK)
        return CLI_FAILED;
    execvp(program[0], program);
    status = errno == ENOENT ? CLI_NOT_FOUND : CLI_CANNOT_EXECUTE;
    cli_warn("cannot execute '%s': %s", program[0], strerror(errno));
    return status;
}

const struct cli_command cli_run_command = {
    .name = "run",
    .summary = "executes a program with deadlines on its network calls",
    .takes_program = true,
    .run = run,
    .help = print_help,
};
