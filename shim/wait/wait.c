#include "shim/wait/wait.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "shim/real.h"
#include "shim/socket/ended.h"
#include "shim/socket/limits.h"
#include "shim/wait/signals.h"

/* How long a call pauses whose descriptor is called ready again and again and gives nothing, after the first such times. */
#define PAUSE_MS 10
enum { FRUITLESS = 2 };

/* The highest descriptor that select is asked for where poll fails. */
enum { SELECT_MOST = 65536, WORD = 8 * sizeof(unsigned long) };

/* poll fails with EINVAL where RLIMIT_NOFILE is 0 (vsftpd and old sshd sandboxes set it). pselect6 does not look at that limit. Returns
 * as poll does. */
ND_COLD static int select_one(struct pollfd *pollfd, nd_time timeout) {
    unsigned long sets[2][SELECT_MOST / WORD];
    const struct timespec time = {(time_t)(timeout / ND_SEC), (long)(timeout % ND_SEC)};
    const size_t bytes = ((unsigned)pollfd->fd / WORD + 1) * sizeof(unsigned long);
    if ((unsigned)pollfd->fd >= SELECT_MOST)
        return -1;
    for (int i = 0; i < 2; i++)
        memset(sets[i], 0, bytes);
    unsigned long *wanted = sets[pollfd->events & POLLOUT ? 1 : 0];
    wanted[(unsigned)pollfd->fd / WORD] = 1UL << ((unsigned)pollfd->fd % WORD);
    int ready = nd_real.pselect(pollfd->fd + 1, (fd_set *)(void *)sets[0], (fd_set *)(void *)sets[1], NULL,
                                timeout == ND_NEVER ? NULL : &time, NULL);
    pollfd->revents = ready > 0 ? pollfd->events : 0;
    return ready;
}

/* Polls until `until` by the clock, which is `now`. */
static int poll_one(struct pollfd *pollfd, nd_time now, nd_time until) {
    int ready = nd_real.poll(pollfd, 1, nd_time_poll_ms(until, now));
    if (nd_likely(ready >= 0) || errno == EINTR)
        return ready;
    return select_one(pollfd, until == ND_NEVER ? ND_NEVER : until > now ? until - now : 0);
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
    return (wait->events & POLLIN) && poll_one(&pollfd, 0, 0) > 0;
}

static enum nd_waited fail(enum nd_waited how, int error) {
    errno = error;
    return how;
}

static enum nd_waited wait_for(struct nd_wait *wait) {
    bool pauses = wait->fruitless++ >= FRUITLESS || (wait->fruitless > 1 && !(wait->events & POLLIN));
    for (nd_time now = nd_now();; pauses = false) {
        struct pollfd pollfd = {.fd = wait->fd, .events = wait->events};
        nd_time next;
        if (has_fired(wait, now, &next))
            return has_input(wait) ? ND_READY : ND_EXPIRED;
        if (now >= wait->own)
            return fail(ND_OWN_TIMEOUT, EAGAIN);
        const int ready = nd_unlikely(pauses) ? nd_real.poll(NULL, 0, PAUSE_MS)
                                              : poll_one(&pollfd, now, nd_time_sooner(next, wait->own));
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
