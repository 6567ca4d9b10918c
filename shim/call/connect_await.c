#include <poll.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "shim/call/connect.h"
#include "shim/limit/connect_limit.h"
#include "shim/limit/wait_clock.h"
#include "shim/mode.h"
#include "shim/report/slots.h"
#include "shim/socket/ended.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/wait/wait.h"

static void renew(struct nd_wait *wait) {
    const struct nd_sock *sock = wait->sock;
    wait->deadline = nd_connect_deadline(sock, sock->connect_began);
    wait->expiry = nd_connect_expiry(sock, sock->connect_began, wait->deadline, (const struct sockaddr *)&sock->peer,
                                     sizeof sock->peer);
}

/* Whether the call that has waited goes on; else it fails with errno. */
static bool goes_on_after(const struct nd_wait *wait, enum nd_direction direction) {
    const int error = errno;
    switch (wait->how) {
    case ND_EXPIRED:
        if (!nd_wait_clock_expire(nd_operation_names[ND_OPERATION_connect], wait->fd, wait->sock, 0, true, nd_now()))
            return true;
        return nd_expired_fail(wait->fd, wait->sock, direction), false;
    case ND_READY:
    case ND_ENDED_STREAM:
        nd_wait_clock_settle_connect(wait->fd, wait->sock);
        return true;
    case ND_UNPOLLABLE:
        return true;
    default:
        errno = error;
        return false;
    }
}

ND_COLD bool nd_connect_await(int fd, struct nd_sock *sock, enum nd_direction direction) {
    if ((nd_sock_flags(sock) & ND_SOCK_NONBLOCK) || nd_observing)
        return true;
    nd_wait_clock_settle_connect(fd, sock);
    if (!(nd_sock_flags(sock) & ND_SOCK_CONNECTING) || nd_nonblocking(fd))
        return true;
    struct nd_slot_use use;
    nd_time deadline;
    const nd_time now = nd_now();
    const enum nd_limit limit = nd_connect_bound(sock, sock->connect_began, &deadline);
    struct nd_wait wait = {.operation = ND_OPERATION_connect,
                           .fd = fd,
                           .sock = sock,
                           .events = POLLOUT,
                           .own = nd_kernel_timers_own_deadline(fd, sock, direction, now),
                           .renew = renew};
    renew(&wait);
    nd_slot_begin(&use, ND_OPERATION_connect, fd, now, deadline, limit);
    nd_wait_begin(&wait);
    nd_wait_for(&wait);
    const bool goes_on = goes_on_after(&wait, direction);
    nd_slot_end(&use, nd_wait_outcome(wait.how, goes_on ? 0 : -1), nd_now());
    return goes_on;
}
