/* close, fclose: what was known of the descriptor is forgotten before the number can be given to somebody else, and a close
 * that lingers is bounded. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "shim/epollset.h"
#include "shim/expiry.h"
#include "shim/hook.h"
#include "shim/scope.h"
#include "shim/sockets.h"
#include "shim/start.h"

/* A child of vfork closes descriptors in memory it shares with its parent, whose sockets stay open. Only sockets that carry
 * a timer of ours are worth asking who we are: without the memory the parent would see that timer's EAGAIN. */
#define TIMED (ND_SOCK_RCVTIMEO | ND_SOCK_SNDTIMEO | ND_SOCK_EXPIRED)

static bool is_parents(uint32_t flags) {
    return (flags & (TIMED | ND_SOCK_LINGER)) && nd_process && getpid() != nd_process;
}

static void forget(int fd) {
    nd_scope_drop(fd);
    nd_epoll_closed(fd);
    nd_sock_forget(fd);
}

/* A close that may wait, and for how long at most. */
struct lingering {
    nd_time began, bound; /* 0: it is the program's own time that bounds it */
    struct nd_expiry expiry;
    struct sockaddr_storage peer;
};

/* SEND and UNACKED bound this wait from its start, in the kernel's whole seconds. Nothing is lost by that: the kernel goes on
 * delivering, as it does after the program's own time. */
static void begin(int fd, const struct nd_sock *sock, struct lingering *lingering) {
    struct linger linger = {0, 0};
    socklen_t len = sizeof linger;
    nd_time send = nd_sock_send_limit(sock), unacked = nd_sock_limits(sock)->unacked;
    bool is_send = send && (!unacked || send < unacked);
    nd_time limit = is_send ? send : unacked;
    long seconds = (long)((limit + ND_SEC - 1) / ND_SEC);
    lingering->bound = 0;
    if (!limit || nd_observing || !(nd_sock_flags(sock) & ND_SOCK_INET) ||
        nd_real.getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) != 0 || !linger.l_onoff ||
        linger.l_linger <= seconds)
        return;
    linger.l_linger = (int)seconds;
    if (nd_real.setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) != 0)
        return;
    len = sizeof lingering->peer;
    bool known = getpeername(fd, (struct sockaddr *)&lingering->peer, &len) == 0;
    lingering->began = nd_now();
    lingering->bound = seconds * ND_SEC;
    lingering->expiry =
        (struct nd_expiry){.operation = "close",
                           .limit = is_send ? ND_LIMIT_NAME(sock, "SEND") : ND_LIMIT_NAME(sock, "UNACKED"),
                           .timeout = limit,
                           .peer = (struct sockaddr *)&lingering->peer,
                           .peer_len = known ? len : 0};
}

static void end(int fd, struct lingering *lingering) {
    lingering->expiry.elapsed = lingering->bound ? nd_now() - lingering->began : 0;
    if (lingering->bound && lingering->expiry.elapsed >= lingering->bound)
        nd_expire_told(fd, &lingering->expiry);
}

ND_COLD static int close_watched(int fd, const struct nd_sock *sock, uint32_t flags) {
    if (is_parents(flags))
        return nd_real.close(fd);
    struct lingering lingering = {.bound = 0};
    if (flags & ND_SOCK_LINGER)
        begin(fd, sock, &lingering);
    forget(fd);
    int result = nd_real.close(fd);
    end(fd, &lingering);
    return result;
}

int nd_hook_close(int fd) {
    const struct nd_sock *sock = nd_sock_peek(fd);
    uint32_t flags = sock ? nd_sock_flags(sock) : 0;
    if (nd_unlikely(flags))
        return close_watched(fd, sock, flags);
    return nd_real.close(fd);
}
ND_ALIAS_OF(__close, close);

ND_COLD static int fclose_watched(FILE *stream, int fd, const struct nd_sock *sock, uint32_t flags) {
    struct lingering lingering = {.bound = 0};
    if (flags & ND_SOCK_LINGER)
        begin(fd, sock, &lingering);
    forget(fd);
    int result = nd_real.fclose(stream);
    end(fd, &lingering);
    return result;
}

int nd_hook_fclose(FILE *stream) {
    int saved = errno;
    int fd = fileno(stream); /* fails for a stream without one */
    errno = saved;
    const struct nd_sock *sock = nd_sock_peek(fd);
    uint32_t flags = sock ? nd_sock_flags(sock) : 0;
    if (nd_unlikely(flags))
        return fclose_watched(stream, fd, sock, flags);
    return nd_real.fclose(stream);
}
