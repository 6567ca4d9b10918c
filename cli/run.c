#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/elf_file.h"
#include "cli/executes.h"
#include "cli/guard_loop.h"
#include "cli/launcher.h"
#include "cli/options.h"
#include "cli/preload.h"
#include "cli/program.h"
#include "cli/uselessness.h"

static void print_help(FILE *to) {
    fprintf(to, "Usage: netdeadline run [OPTION VALUE]... [--] PROGRAM [ARGUMENT...]\n"
                "Executes PROGRAM with deadlines on its network calls.\n\n");
    options_print_help(to);
    fprintf(to, "  --%-28s does not guard from outside a program that the library cannot help\n", "no-guard");
    fprintf(to, "\nTIME is a duration such as 250ms, 3s or 1m30s, or off. An option that is not given leaves the\n"
                "environment's NETDEADLINE_ variable in force, or else the default in brackets.\n"
                "Exit status: that of PROGRAM; 2 for wrong usage, 125 if the library is missing, 126 if PROGRAM\n"
                "cannot be executed, 127 if it is not found.\n");
}

static bool is_off(void) {
    const char *mode = getenv("NETDEADLINE_MODE");
    return mode && strcmp(mode, "off") == 0;
}

/* The first process of a PID namespace would become the parent of its guard. */
enum { INIT = 1 };

/* Guards this process from outside where the library has no effect on what it is about to execute, and warns where that
 * cannot be. What users of preloaded libraries report most is that nothing happens. Where the library has an effect,
 * but not on what the program itself may execute, that is guarded. */
static void guard_if_useless(const char *name, struct library *library, bool may_guard) {
    struct program program;
    if (program_inspect(name, &program) != 0 || !program.is_elf)
        return;
    const char *why = uselessness_of(&program, library);
    if (access("/etc/netdeadline.disable", F_OK) == 0)
        cli_warn("/etc/netdeadline.disable exists: the calls of %s are not bounded", name);
    else if (why && may_guard && is_off())
        return;
    else if (why && (!may_guard || guard_this_process(false) != 0))
        cli_warn("%s %s: its calls are not bounded", program.path, why);
    else if (!why && may_guard && getpid() != INIT && !is_off() && executes_others(program.path))
        guard_this_process(true);
}

enum { NO_GUARD = OPTIONS_FIRST_OTHER };

static int take_no_guard(int option, void *may_guard) {
    if (option == NO_GUARD)
        *(bool *)may_guard = false;
    return CLI_OK;
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

/* A launcher that puts its own library in the place of ours is to start this command, which adds ours to that one.
 * Returns the words to execute: `program`, or an array to be freed. */
static char **through_launcher(char **program, const char *library, bool may_guard) {
    static char command[PATH_MAX], run_word[] = "run", no_guard[] = "--no-guard", which[] = "--library", end[] = "--";
    const int at = launcher_program(program);
    size_t count = 0;
    while (program[count])
        count++;
    char **all = at > 0 && library_command(command) == 0 ? calloc(count + 7, sizeof *all) : NULL;
    if (!all)
        return program;
    char **next = all;
    memcpy(next, program, (size_t)at * sizeof *next);
    next += at;
    *next++ = command;
    *next++ = run_word;
    if (!may_guard)
        *next++ = no_guard;
    if (library) {
        *next++ = which;
        *next++ = (char *)(uintptr_t)library; /* execvp changes no word */
    }
    *next++ = end;
    memcpy(next, program + at, (count - (size_t)at) * sizeof *next);
    return all;
}

static int run(int argc, char **argv) {
    struct options options;
    struct library library;
    static const struct option others[] = {{"no-guard", no_argument, NULL, NO_GUARD}, CLI_END};
    bool may_guard = true;
    int status = options_read_with(&options, &cli_run_command, argc, argv, others, take_no_guard, &may_guard);
    char **program = argv + optind;
    if (status == CLI_OK && !program[0])
        status = cli_usage_error(&cli_run_command, "which program?");
    if (status == CLI_OK)
        status = options_find_library(&options, &cli_run_command, &library);
    if (status == CLI_OK)
        status = options_set_variables(&options);
    if (status != CLI_OK)
        return status;
    guard_if_useless(program[0], &library, may_guard);
    if (set_preload(program[0], &library) != CLI_OK)
        return CLI_FAILED;
    char **words = through_launcher(program, options.library, may_guard);
    execvp(words[0], words);
    status = errno == ENOENT ? CLI_NOT_FOUND : CLI_CANNOT_EXECUTE;
    cli_warn("cannot execute '%s': %s", program[0], strerror(errno));
    if (words != program)
        free(words);
    return status;
}

const struct cli_command cli_run_command = {
    .name = "run",
    .summary = "executes a program with deadlines on its network calls",
    .takes_program = true,
    .run = run,
    .help = print_help,
};
