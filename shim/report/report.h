/* Tells the operator what the library did: one line for each expiry, where NETDEADLINE_LOG says. */
#ifndef ND_REPORT_REPORT_H
#define ND_REPORT_REPORT_H

#include "shim/report/event.h"
#include <stdbool.h>

/* Remembers the program's name and which file stands behind descriptor 2, so that a later line never goes to a descriptor
 * the program has reused. Called once at start, before the program runs. Makes one system call, and only where LOG is set. */
void nd_report_start(void);

/* Writes the event where the settings ask, and the caller's stack with BACKTRACE. No memory, no lock, no stdio, keeps
 * errno, never waits: async-signal-safe (the stack is skipped in a signal handler). Failures are silent. */
void nd_report_expiry(const struct nd_event *event);

/* A line about the library itself ("netdeadline: ..."): to the log if one is set, else to descriptor 2. Only the
 * first call in the life of a process image prints (law 2: at most one line). With LOG=off it must come before
 * nd_report_start(): later nobody remembers what descriptor 2 was, and nothing is written. Async-signal-safe; keeps errno. */
void nd_report_notice(const char *text);

#endif
