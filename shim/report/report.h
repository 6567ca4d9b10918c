/* Reports to the operator what the library did: a line for each expiry, to where NETDEADLINE_LOG says. */
#pragma once

#include "shim/report/event.h"

/* Stores the program's name and which file descriptor 2 is, so that no later line is written to a descriptor that
 * the program has reused. Called once at start, before the program runs. Makes one system call, and only where LOG
 * is set. */
void nd_report_start(void);

/* Writes the event to where the settings say, with the caller's stack where BACKTRACE is set. Does not allocate,
 * lock, use stdio or wait: async-signal-safe (in a signal handler the stack is left out). Keeps errno. Failures are
 * silent. */
void nd_report_expiry(const struct nd_event *event);

/* The same for a lookup that has given an answer from before (event->stale), which is counted as such. */
void nd_report_stale(const struct nd_event *event);

/* Writes a line about the library itself ("netdeadline: ..."): to the log if one is set, else to descriptor 2. A
 * process prints at most one such line: only the first call does. With LOG=off it must come before nd_report_start():
 * later it is not known what descriptor 2 is, and nothing is written. Async-signal-safe; keeps errno. */
void nd_report_notice(const char *text);

/* Writes such a line to the log, where one is set, whatever was written before: that a call has no limit although one
 * is set. The caller sees to it that a process says so once. Async-signal-safe; keeps errno. */
void nd_report_unbounded(const char *text);
