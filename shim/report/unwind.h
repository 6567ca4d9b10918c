/* Unwinding a stack of this process, by libunwind. */
#ifndef ND_REPORT_UNWIND_H
#define ND_REPORT_UNWIND_H

#include "shim/report/unwind_accessors.h"
#include "shim/report/unwind_functions.h"

#pragma weak getcontext /* musl has none (start.c): nothing is reported there */

/* Makes libunwind ready; false if the host has none, and unw_step is then NULL. Called at start, while no other thread
 * opens descriptors; not async-signal-safe. */
bool nd_unwind_load(void);

/* A cursor at the frame of *unwinding. */
int nd_unwind_start(unw_cursor_t *cursor, struct nd_unwinding *unwinding);

#endif
