#include "shim/report/unwind.h"

#include <sys/stat.h>

#include "shim/raw.h"
#include "shim/report/context.h"

static unw_addr_space_t space;

static bool is_pipe(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

/* At its first use libunwind opens a pipe, which it needs only for unwinding its own process. No other thread opens
 * descriptors yet, so the pipe gets the two lowest free numbers: it is closed again. */
static void use_once(void) {
    int lowest[2];
    unw_cursor_t cursor;
    struct nd_unwinding unwinding = {.next_block = 0};
    bool known = ND_RAW3(pipe2, lowest, O_CLOEXEC, 0) == 0;
    for (int i = 0; known && i < 2; i++)
        ND_RAW3(close, lowest[i], 0, 0);
    nd_context_note(&unwinding.context);
    nd_unwind_start(&cursor, &unwinding);
    for (int i = 0; known && i < 2; i++)
        if (is_pipe(lowest[i]))
            ND_RAW3(close, lowest[i], 0, 0);
}

bool nd_unwind_load(void) {
    if (space)
        return true;
    if (!nd_unwind_find_functions())
        return false;
    space = unw_create_addr_space(&nd_unwind_accessors, 0);
    if (space)
        use_once();
    return space != NULL;
}

int nd_unwind_start(unw_cursor_t *cursor, struct nd_unwinding *unwinding) {
    return space ? unw_init_remote(cursor, space, unwinding) : -UNW_EUNSPEC;
}
