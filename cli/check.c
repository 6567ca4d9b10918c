#include <elf.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/check_guard.h"
#include "cli/check_host.h"
#include "cli/check_process.h"
#include "cli/cli.h"
#include "cli/elf_file.h"
#include "cli/findings.h"
#include "cli/imports.h"
#include "cli/library.h"
#include "cli/loader.h"
#include "cli/musl.h"
#include "cli/program.h"

static void print_help(FILE *to) {
    fprintf(
        to,
        "Usage: netdeadline check PROGRAM|PID\n"
        "Tells whether the library works in a program, what it cannot see there, and of a process whether\n"
        "it has the library.\n\n"
        "Each finding is 'good', a 'note', or 'bad': then the library has no effect.\n"
        "Exit status: 0 if the library works there (of a process: is at work), 1 if not, 2 for wrong usage, 125 if\n"
        "it may not be looked at, 127 if there is no such program or process.\n");
}

static void check_file(struct findings *findings, const struct program *program) {
    struct elf_file file;
    bool is_go = elf_open(&file, program->path) == 0;
    if (is_go) {
        is_go = elf_has_section(&file, ".go.buildinfo") || elf_has_section(&file, ".note.go.buildid");
        elf_close(&file);
    }
    if (program->is_static)
        finding_bad(findings, "linked statically%s: no library can be preloaded into it",
                    is_go ? " (Go without cgo)" : "");
    else if (is_go)
        finding_note(findings, "a Go program: its network calls are raw system calls, which cannot be interposed");
    if (is_go && !program->is_static)
        check_guard(findings);
    if (program->is_privileged && musl_is_for(program))
        finding_bad(findings, "gains privileges when executed: musl's loader takes no library then");
    else if (program->is_privileged && check_is_preloaded_everywhere())
        finding_note(findings, "gains privileges when executed: variables are ignored there, and /etc/netdeadline.conf "
                               "counts only where root alone can write it");
    else if (program->is_privileged)
        finding_bad(findings,
                    "gains privileges when executed: the loader ignores LD_PRELOAD; /etc/ld.so.preload works");
}

static void check_musl_library(struct findings *findings, const struct program *program, struct library *library) {
    const bool has_lib = strstr(library->preload, "$LIB") != NULL;
    const char *why = musl_uselessness_of(program, library);
    if (why) {
        finding_bad(findings, "it %s%s", why, library->preload[0] ? "" : ": with it the program would not start");
        check_guard(findings);
        return;
    }
    finding_good(findings, "the library is of its kind (%d-bit): %s", program->bits, library->file);
    if (has_lib && !strstr(library->preload, "$LIB"))
        finding_note(
            findings,
            "musl's loader knows no $LIB: LD_PRELOAD names the library by that path, as 'netdeadline run' does");
}

static void check_library(struct findings *findings, const struct program *program, bool is_for_musl) {
    struct library library;
    struct program file;
    enum loader_answer answer = LOADER_UNKNOWN;
    bool is_found = library_find(&library) == 0;
    if (is_found && is_for_musl) {
        check_musl_library(findings, program, &library);
        return;
    }
    if (is_found && strstr(library.preload, "$LIB"))
        answer = loader_takes(program->path, &library);
    if (answer == LOADER_IGNORES) {
        finding_bad(findings, "its loader finds no library of its kind at %s", library.preload);
        return;
    }
    if (!is_found || program_inspect_file(library.file, &file) != 0)
        finding_bad(findings, "libnetdeadline.so is not beside this command nor where it was installed");
    else if (file.bits == program->bits && file.machine == program->machine)
        finding_good(findings, "the library is of its kind (%d-bit): %s", file.bits, library.file);
    else if (answer == LOADER_TAKES)
        finding_good(findings, "its loader finds the library of its kind (%d-bit) at %s", program->bits,
                     library.preload);
    else if (strstr(library.preload, "$LIB"))
        finding_note(findings, "a %d-bit program of another kind than %s: it needs its own library in $LIB",
                     program->bits, library.file);
    else
        finding_bad(findings, "a %d-bit program of another kind than %s", program->bits, library.file);
}

static void check_libc(struct findings *findings, const char *loader) {
    char version[32];
    if (loader_is_musl(loader) && loader_musl_version(loader, version, sizeof version))
        finding_good(findings, "dynamic, for musl (%s here)", version);
    else if (loader_is_musl(loader))
        finding_note(findings, "dynamic, for musl, whose loader %s is not here to be asked", loader);
    else if (strstr(loader, "ld-linux") || strstr(loader, "/ld.so") || strstr(loader, "ld64"))
        finding_good(findings, "dynamic, for glibc (%s here)", gnu_get_libc_version());
    else
        finding_note(findings, "an unknown loader, %s: it may not know LD_PRELOAD", loader);
}

static void put_calls(char *out, size_t size, const char *const *names, int count) {
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, " %s", names[i]);
}

static void report_imports(struct findings *findings, const struct imports *imports) {
    char calls[2048];
    if (!imports->uses_network && !imports->loads_modules)
        finding_note(findings, "neither it nor its %d libraries open sockets or look up names", imports->libraries);
    put_calls(calls, sizeof calls, imports->bounded, imports->bounded_count);
    if (imports->uses_network && imports->bounded_count == 0)
        finding_note(findings, "none of the calls of it and %d libraries is bounded", imports->libraries);
    else if (imports->uses_network)
        finding_good(findings, "calls that are bounded, of it and %d libraries:%s", imports->libraries, calls);
    put_calls(calls, sizeof calls, imports->unbounded, imports->unbounded_count);
    if (imports->uses_network && imports->unbounded_count > 0)
        finding_note(findings, "calls that may wait and are not bounded by themselves:%s", calls);
    if (imports->missing > 0)
        finding_note(findings, "%d of its libraries are missing here", imports->missing);
    if (imports->loads_modules)
        finding_note(findings, "it can load further modules when it runs; those are not looked into");
    if (imports->opens_namespaces)
        finding_note(findings,
                     "it can load modules into namespaces of their own (dlmopen), whose calls are not reached");
    if (imports->uses_io_uring)
        finding_note(findings, "it uses io_uring, whose requests are not reached");
    if (imports->filters_calls)
        finding_note(
            findings,
            "it filters system calls (seccomp); a filter that forbids what the library needs ends in an error");
    if (imports->is_sanitized)
        finding_note(findings,
                     "built with AddressSanitizer, which must be loaded first: its runtime goes before the library in "
                     "LD_PRELOAD, as netdeadline run puts it");
}

static void check_imports(struct findings *findings, const struct program *program) {
    struct elf_file file;
    struct imports imports;
    if (elf_open(&file, program->path) != 0)
        return;
    const char *loader = elf_interpreter(&file);
    if (loader) {
        check_libc(findings, loader);
        imports_collect(&imports, program->path, loader);
        report_imports(findings, &imports);
    }
    elf_close(&file);
}

/* What holds for every program on this host, by the program's C library. */
static void check_libc_of_host(struct findings *findings, bool is_for_musl) {
    const bool everywhere = check_is_preloaded_everywhere();
    if (everywhere && is_for_musl)
        finding_note(findings, "/etc/ld.so.preload has the library, but musl's loader does not read that: LD_PRELOAD "
                               "reaches the program");
    else if (everywhere)
        finding_note(findings, "/etc/ld.so.preload has the library already: of two copies the first one works");
}

static int check_program(const char *name) {
    struct findings findings = {0};
    struct program program;
    if (program_inspect(name, &program) != 0) {
        cli_warn("cannot read the program '%s': %s", name, strerror(errno ? errno : ENOENT));
        return CLI_NOT_FOUND;
    }
    findings_start(&findings, program.path);
    if (!program.is_elf) {
        finding_bad(&findings, "neither a program nor a script that names one");
        return findings_end(&findings);
    }
    check_file(&findings, &program);
    if (program.is_static) {
        check_guard(&findings);
        return findings_end(&findings);
    }
    const bool is_for_musl = musl_is_for(&program);
    check_library(&findings, &program, is_for_musl);
    check_libc_of_host(&findings, is_for_musl);
    check_imports(&findings, &program);
    check_host(&findings, is_for_musl);
    check_config(&findings, name);
    return findings_end(&findings);
}

static int run(int argc, char **argv) {
    static const struct option options[] = {CLI_HELP, CLI_END};
    cli_next_option(&cli_check_command, argc, argv, options);
    const char *subject = argv[optind];
    if (argc - optind != 1 || !subject[0])
        return cli_usage_error(&cli_check_command, "one program or process ID is needed");
    bool is_number = subject[strspn(subject, "0123456789")] == '\0';
    return is_number ? check_process(subject) : check_program(subject);
}

const struct cli_command cli_check_command = {
    .name = "check",
    .summary = "tells whether the library works in a program or process",
    .run = run,
    .help = print_help,
};
