/* The places a line can be sent to. None of these waits, allocates, locks or is a cancellation point; each opens what it
 * needs and closes it at once. Async-signal-safe; they change errno, and raise no signal between nd_hush and nd_unhush. */
#ifndef ND_REPORT_SINK_H
#define ND_REPORT_SINK_H

#include <signal.h>
#include <stddef.h>

/* Remembers which file stands behind descriptor 2. Until then it is taken to be the one the process was started with. */
void nd_sink_remember_stderr(void);

/* Each sends `length` bytes, newline included where the place wants one. They return 0, or -1 when it was not written. */
int nd_sink_stderr(const char *text, size_t length);
int nd_sink_file(const char *path, const char *text, size_t length);
int nd_sink_syslog(const char *text, size_t length);

/* One UDP datagram to `address` (NETDEADLINE_STATSD's form). */
int nd_sink_statsd(const char *address, const char *text, size_t length);

/* Holds back what a write can raise (a pipe without reader, a stopped terminal, a file size limit). */
struct nd_hushed {
    sigset_t mask;
    sigset_t pending;
};
void nd_hush(struct nd_hushed *hushed);
void nd_unhush(const struct nd_hushed *hushed);

#endif
