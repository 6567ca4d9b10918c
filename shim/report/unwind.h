/* Unwinds a stack of this process with libunwind. */
#pragma once

#include "shim/report/unwind_accessors.h"
#include "shim/report/unwind_functions.h"

/* Prepares libunwind. Returns false where the host has none; unw_step is then NULL. Called at start, while no other
 * thread opens descriptors; not async-signal-safe. */
bool nd_unwind_load(void);

/* Sets *cursor to the frame of *unwinding. Returns 0 or an error of libunwind. */
int nd_unwind_start(unw_cursor_t *cursor, struct nd_unwinding *unwinding);
