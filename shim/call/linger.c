#include "shim/call/linger.h"

#include "base/compiler.h"
#include "shim/mode.h"
#include "shim/real.h"
#include "shim/report/operations.h"
#include "shim/socket/limits.h"
#include "shim/tls/scope.h"
#include "shim/wait/epoll_set.h"

void nd_close_clear(int fd) {
    nd_scope_drop(fd);
    nd_epoll_closed(fd);
    nd_sock_clear(fd);
}

/* SEND and UNACKED bound this wait from its start, in whole seconds as in struct linger. No data are lost: the kernel
 * continues to deliver them, as after the program's own time. */
ND_COLD static void bound_linger(const uintptr_t *frame, int fd, const struct nd_sock *sock,
                                 struct nd_lingering *lingering) {
    struct linger linger = {0, 0};
    socklen_t len = sizeof linger;
    nd_time send = nd_sock_send_limit(sock), unacked = nd_sock_limits(sock)->unacked;
    bool is_send = send && (!unacked || send < unacked);
    nd_time limit = is_send ? send : unacked;
    long seconds = (long)((limit + ND_SEC - 1) / ND_SEC);
    if (!limit || nd_observing || !(nd_sock_flags(sock) & ND_SOCK_INET) ||
        nd_real.getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) != 0 || !linger.l_onoff ||
        linger.l_linger <= seconds)
        return;
    lingering->own = linger.l_linger;
    linger.l_linger = (int)seconds;
    if (nd_real.setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) != 0)
        return;
    len = sizeof lingering->peer;
    bool known = getpeername(fd, (struct sockaddr *)&lingering->peer, &len) == 0;
    lingering->began = nd_now();
    lingering->bound = seconds * ND_SEC;
    lingering->expiry = (struct nd_expiry){.operation = nd_operation_names[ND_OPERATION_close],
                                           .limit = nd_limit_name(sock, is_send ? ND_LIMIT_SEND : ND_LIMIT_UNACKED),
                                           .timeout = limit,
                                           .peer = (struct sockaddr *)&lingering->peer,
                                           .peer_len = known ? len : 0};
    nd_slot_begin_in(frame, &lingering->use, ND_OPERATION_close, fd, lingering->began,
                     nd_time_after(lingering->began, lingering->bound),
                     nd_limit_of(sock, is_send ? ND_LIMIT_SEND : ND_LIMIT_UNACKED), NULL);
}

void nd_linger_begin_in(const uintptr_t *frame, int fd, const struct nd_sock *sock, struct nd_lingering *lingering) {
    lingering->bound = 0;
    if (nd_sock_flags(sock) & ND_SOCK_LINGER)
        bound_linger(frame, fd, sock, lingering);
}

void nd_linger_report(int fd, struct nd_lingering *lingering) {
    const nd_time now = nd_now();
    const bool expired = now - lingering->began >= lingering->bound;
    lingering->expiry.elapsed = now - lingering->began;
    nd_slot_end(&lingering->use, expired ? ND_SLOT_EXPIRED : ND_SLOT_DONE, now);
    if (expired)
        nd_expiry_report(fd, &lingering->expiry);
}

void nd_linger_undo(int fd, struct nd_lingering *lingering) {
    const struct linger own = {1, lingering->own};
    int saved = errno;
    if (lingering->bound) {
        nd_slot_end(&lingering->use, ND_SLOT_UNCOUNTED, nd_now());
        nd_real.setsockopt(fd, SOL_SOCKET, SO_LINGER, &own, sizeof own);
    }
    errno = saved;
}
