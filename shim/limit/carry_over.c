#include "shim/limit/carry_over.h"

#include "shim/readable.h"

void nd_carry_over_receive(int fd, struct nd_sock *sock, nd_time began, nd_time ended) {
    if (!(nd_sock_flags(sock) & ND_SOCK_CARRIED_IN)) {
        sock->carried_over.in.waited = 0;
        nd_sock_change(fd, sock, ND_SOCK_CARRIED_IN, 0);
    }
    nd_stopwatch_add(&sock->carried_over.in, began, ended);
}

nd_time nd_carried_over_receive(const struct nd_sock *sock, nd_time now) {
    if (!(nd_sock_flags(sock) & ND_SOCK_CARRIED_IN))
        return now;
    nd_time since = now - sock->carried_over.in.waited;
    nd_time requested = nd_sock_flags(sock) & ND_SOCK_SENT_LAST ? sock->reply_pending_since : since;
    if (requested > since)
        since = requested;
    return since < now ? since : now;
}

void nd_carry_over_send(int fd, struct nd_sock *sock, const struct nd_send_space *space, nd_time now) {
    sock->carried_over.silence = now - space->progress;
    sock->carried_over.unacked = space->unacked_since < 0 ? -1 : now - space->unacked_since;
    sock->carried_over.queued = space->queued;
    nd_sock_change(fd, sock, ND_SOCK_CARRIED_OUT, 0);
}

struct nd_send_space nd_carried_over_send(int fd, struct nd_sock *sock, nd_time now) {
    if (!(nd_sock_flags(sock) & ND_SOCK_CARRIED_OUT))
        return nd_send_space_begin(fd, now);
    nd_time unacked = sock->carried_over.unacked;
    return (struct nd_send_space){now - sock->carried_over.silence, unacked < 0 ? -1 : now - unacked,
                                  sock->carried_over.queued};
}

/* Distinguishes addresses: the time that was spent on one does not count for another. */
static uint32_t hash(const struct sockaddr *addr, socklen_t len) {
    const uint8_t *bytes = (const uint8_t *)addr;
    uint32_t sum = 2166136261; /* FNV-1a */
    for (socklen_t i = 0; i < len && i < sizeof(struct sockaddr_storage); i++)
        sum = (sum ^ bytes[i]) * 16777619;
    return sum;
}

void nd_carry_over_connect(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len, nd_time waited) {
    sock->carried_over.silence = waited;
    sock->carried_over.unacked = -1;
    sock->carried_over.queued = hash(addr, len); /* readable: the kernel has read it */
    nd_sock_change(fd, sock, ND_SOCK_CARRIED_OUT, 0);
}

nd_time nd_carried_over_connect(const struct nd_sock *sock, const struct sockaddr *addr, socklen_t len, nd_time now) {
    const bool waited = (nd_sock_flags(sock) & ND_SOCK_CARRIED_OUT) && len <= sizeof(struct sockaddr_storage);
    return waited && nd_readable(addr, len) && sock->carried_over.queued == hash(addr, len)
               ? now - sock->carried_over.silence
               : now;
}
