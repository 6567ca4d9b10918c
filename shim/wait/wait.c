#include "shim/wait/wait.h"

#include <fcntl.h>
#include <poll.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "shim/poll.h"
#include "shim/real.h"
#include "shim/socket/ended.h"
#include "shim/socket/limits.h"
#include "shim/wait/signals.h"

/* How long a call pauses whose descriptor is called ready again and again and gives nothing, after the first such times. */
#define PAUSE_MS 10
enum { FRUITLESS = 2 };

/* After so many interruptions in a row that the program does not see it is another call that waits: one that always fails with EINTR, as
 * a filter may make it, must not be made again for ever. */
enum { INTERRUPTIONS = 100 };

static int wait_once(struct pollfd *pollfd, nd_time now, nd_time until, int interruptions) {
    if (nd_likely(interruptions < INTERRUPTIONS))
        return nd_poll_until(pollfd, now, until);
    const int ready = nd_select_until(pollfd, now, until);
    if (ready < 0 && errno == EINTR)
        nd_pause(1);
    return ready;
}

/* Whether a limit has fired at `now`; else *next is when to look again. */
static bool has_fired(struct nd_wait *wait, nd_time now, nd_time *next) {
    *next = ND_NEVER;
    if (wait->fired && wait->fired(wait, now, next))
        return true;
    if (!nd_sock_connection_limited(wait->sock))
        return false;
    const nd_time due = nd_connection_limits_due(wait->sock, now);
    *next = nd_time_sooner(*next, due);
    return now >= due && nd_connection_limits_check(wait->fd, wait->sock, true, now, &wait->expiry);
}

static bool has_input(const struct nd_wait *wait) {
    struct pollfd pollfd = {.fd = wait->fd, .events = wait->events};
    return (wait->events & POLLIN) && nd_poll_now(&pollfd) > 0;
}

static enum nd_waited fail(enum nd_waited how, int error) {
    errno = error;
    return how;
}

static enum nd_waited wait_for(struct nd_wait *wait) {
    if (nd_unlikely(wait->own < 0)) /* the kernel knows it */
        return ND_UNPOLLABLE;
    bool pauses = wait->fruitless++ >= FRUITLESS || (wait->fruitless > 1 && !(wait->events & POLLIN));
    int interruptions = 0;
    for (nd_time now = nd_now();; pauses = false) {
        struct pollfd pollfd = {.fd = wait->fd, .events = wait->events};
        nd_time next;
        if (has_fired(wait, now, &next))
            return has_input(wait) ? ND_READY : ND_EXPIRED;
        if (now >= wait->own)
            return fail(ND_OWN_TIMEOUT, EAGAIN);
        const int ready = nd_unlikely(pauses) ? nd_pause(PAUSE_MS)
                                              : wait_once(&pollfd, now, nd_time_sooner(next, wait->own), interruptions);
        const int error = errno;
        if (!nd_sock_held(wait->fd, wait->sock, &wait->hold))
            return fail(ND_REPLACED, EBADF);
        const nd_time began = now;
        now = nd_now();
        if (nd_sock_connection_limited(wait->sock))
            nd_connection_limits_waited(wait->sock, began, now);
        if (ready < 0 && error != EINTR)
            return ND_UNPOLLABLE;
        if (ready < 0 && (wait->moved || wait->shows_interruptions || wait->own != ND_NEVER || !nd_signals_restart()))
            return fail(ND_INTERRUPTED, EINTR);
        interruptions += ready < 0;
        if (ready > 0)
            return pollfd.revents & POLLHUP ? ND_ENDED_STREAM : ND_READY;
    }
}

enum nd_waited nd_wait_for(struct nd_wait *wait) {
    wait->how = wait_for(wait);
    return wait->how;
}

bool nd_nonblocking(int fd) {
    int saved = errno;
    int status = nd_real.fcntl(fd, F_GETFL, NULL);
    errno = saved;
    return status >= 0 && (status & O_NONBLOCK);
}
