/* Tells the operator what the library did: one line for each expiry, where NETDEADLINE_LOG says. */
#ifndef ND_REPORT_REPORT_H
#define ND_REPORT_REPORT_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/clock.h"

/* One expiry, described before the connection is ended (afterwards the kernel no longer knows the peer). */
struct nd_event {
    const char *operation;       /* the call: "connect", "recv", "poll", "SSL_shutdown", "getaddrinfo" */
    const char *limit;           /* the setting that fired, without prefix: "RECV", "INBOUND_SEND" */
    nd_time timeout;             /* its value */
    nd_time elapsed;             /* how long the operation had lasted */
    int fd;                      /* -1 where there is none */
    const char *name;            /* the name that was looked up, or NULL */
    const struct sockaddr *peer; /* or NULL */
    socklen_t peer_len;
    bool observed; /* MODE=observe: nothing was ended */
};

/* Remembers the program's name and which file stands behind descriptor 2, so that a later line never goes to a descriptor
 * the program has reused. Called once at start, before the program runs. Makes one system call, and only where LOG is set. */
void nd_report_start(void);

/* The program's name, as it was at start. */
const char *nd_report_program(void);

/* Writes the event where the settings ask, and the caller's stack with BACKTRACE. No memory, no lock, no stdio, keeps
 * errno, never waits: async-signal-safe (the stack is skipped in a signal handler). Failures are silent. */
void nd_report_expiry(const struct nd_event *event);

/* A line about the library itself ("netdeadline: ..."): to the log if one is set, else to descriptor 2. Only the
 * first call in the life of a process image prints (law 2: at most one line). With LOG=off it must come before
 * nd_report_start(): later nobody remembers what descriptor 2 was, and nothing is written. Async-signal-safe; keeps errno. */
void nd_report_notice(const char *text);

#endif
