/* Time carried over from one call to the next. A call that waits may return without having moved a byte: a signal
 * interrupted it, or the program's own timeout expired. Most programs then make the same call again, and a limit that
 * restarted each time would never expire. So the time that such a call has waited counts in the next call in the same
 * direction, until bytes move. Everything here is async-signal-safe and keeps errno. */
#pragma once

#include "shim/limit/send_space.h"
#include "shim/socket/change.h"

/* Notes that a receiving call has waited from `began` to `ended` without receiving anything. */
void nd_carry_over_receive(int fd, struct nd_sock *sock, nd_time began, nd_time ended);

/* Returns when a receiving call that begins at `now` is taken to have begun: not before the request was sent. */
nd_time nd_carried_over_receive(const struct nd_sock *sock, nd_time now);

/* Notes that a sending call has waited until `now` without sending anything; `space` is what it has observed. */
void nd_carry_over_send(int fd, struct nd_sock *sock, const struct nd_send_space *space, nd_time now);

/* Returns the observations that a sending call starts from which begins to wait for space at `now`. */
struct nd_send_space nd_carried_over_send(int fd, struct nd_sock *sock, nd_time now);

/* Notes that a connect to `addr` which leaves no attempt behind (AF_UNIX, full backlog) has waited for `waited` in all.
 */
void nd_carry_over_connect(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len, nd_time waited);

/* Returns when such a connect that begins at `now` is taken to have begun. */
nd_time nd_carried_over_connect(const struct nd_sock *sock, const struct sockaddr *addr, socklen_t len, nd_time now);

/* Drops what was carried over in `direction`: bytes have moved, or a connection has been established. */
static inline void nd_carry_over_end(int fd, struct nd_sock *sock, enum nd_direction direction) {
    const uint32_t flag = direction == ND_IN ? ND_SOCK_CARRIED_IN : ND_SOCK_CARRIED_OUT;
    if (__builtin_expect((nd_sock_flags(sock) & flag) != 0, 0))
        nd_sock_change(fd, sock, 0, flag);
}
