/* Waking the calls that wait in the library, so that they see settings that `netdeadline set` has changed. */
#pragma once

#include "cli/process/block.h"

struct woken {
    unsigned calls;  /* were woken, and go on under the settings that hold now */
    unsigned denied; /* could not be: another program traces the thread */
};

/* Wakes every call that waits in the library: its thread is stopped for some microseconds, and its system call fails
 * with EINTR, by which the library looks at its settings. A call that waits for a socket past the library, for as long
 * as it takes, is made anew through it (shim/hook/take_over.h). The program sees nothing of either. No other call is
 * touched, nor one that would return what it has done so far. */
struct woken wake_calls(const struct block *block);
