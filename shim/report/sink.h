/* The sinks that a line can be sent to. The functions do not wait, allocate or lock, and are not cancellation points;
 * each opens the descriptor it needs and closes it before it returns. They are async-signal-safe, change errno, and
 * raise no signal between nd_hush and nd_unhush. */
#pragma once

#include <signal.h>
#include <stddef.h>

/* Stores which file descriptor 2 is. Until then it is assumed to be the one that the process was started with. */
void nd_sink_remember_stderr(void);

/* Each sends `length` bytes, including the newline where the sink needs one. Returns 0, or -1 where they were not
 * written whole. */
int nd_sink_stderr(const char *text, size_t length);
int nd_sink_file(const char *path, const char *text, size_t length);
int nd_sink_syslog(const char *text, size_t length);

/* Sends a UDP datagram to `address`, in the form of NETDEADLINE_STATSD. */
int nd_sink_statsd(const char *address, const char *text, size_t length);

/* Between these two calls the thread gets none of the signals that a write can raise: SIGPIPE, SIGXFSZ, SIGTTOU. */
struct nd_hushed {
    sigset_t mask;
    sigset_t pending;
};
void nd_hush(struct nd_hushed *hushed);
void nd_unhush(const struct nd_hushed *hushed);
