#include "cli/block_error.h"

#include "cli/cli.h"
#include "cli/process/processes.h"

int block_error(pid_t pid, enum block_found found) {
    switch (found) {
    case BLOCK_FOUND:
        return CLI_OK;
    case BLOCK_NONE:
        if (process_life(pid) == PROCESS_HEADLESS)
            cli_warn("the first thread of process %d has ended, and its memory cannot be seen without", (int)pid);
        else
            cli_warn("process %d has not loaded the library", (int)pid);
        break;
    case BLOCK_PASSIVE:
        cli_warn(
            "the library passes through in process %d (MODE=off at its start, ONLY or SKIP, the disable file, or a "
            "second copy)",
            (int)pid);
        break;
    case BLOCK_STRANGE:
        cli_warn("process %d has another version of the library, whose state cannot be read", (int)pid);
        break;
    case BLOCK_DENIED:
        cli_warn("may not look into process %d: " CLI_NEEDS_PTRACE, (int)pid);
        break;
    case BLOCK_GONE:
        cli_warn(process_exists(pid) ? "process %d has ended" : "there is no process %d any more", (int)pid);
        return CLI_NOT_FOUND;
    }
    return CLI_FAILED;
}

int block_process_error(pid_t pid) {
    if (process_exists(pid))
        return CLI_OK;
    cli_warn("there is no process %d", (int)pid);
    return CLI_NOT_FOUND;
}
