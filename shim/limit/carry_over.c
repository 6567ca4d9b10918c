#include "shim/limit/carry_over.h"

#include "shim/readable.h"

void nd_vain_receive(int fd, struct nd_sock *sock, nd_time began, nd_time ended) {
    if (!(nd_sock_flags(sock) & ND_SOCK_VAIN_IN)) {
        sock->vain.in.waited = 0;
        nd_sock_change(fd, sock, ND_SOCK_VAIN_IN, 0);
    }
    nd_stopwatch_add(&sock->vain.in, began, ended);
}

nd_time nd_vain_received(const struct nd_sock *sock, nd_time now) {
    if (!(nd_sock_flags(sock) & ND_SOCK_VAIN_IN))
        return now;
    nd_time since = now - sock->vain.in.waited;
    nd_time asked = nd_sock_flags(sock) & ND_SOCK_SENT_LAST ? sock->asked : since;
    if (asked > since)
        since = asked;
    return since < now ? since : now;
}

void nd_vain_send(int fd, struct nd_sock *sock, const struct nd_room *room, nd_time now) {
    sock->vain.silence = now - room->progress;
    sock->vain.unacked = room->unacked_since < 0 ? -1 : now - room->unacked_since;
    sock->vain.queued = room->queued;
    nd_sock_change(fd, sock, ND_SOCK_VAIN_OUT, 0);
}

struct nd_room nd_vain_room(int fd, struct nd_sock *sock, nd_time now) {
    if (!(nd_sock_flags(sock) & ND_SOCK_VAIN_OUT))
        return nd_room_begin(fd, now);
    nd_time unacked = sock->vain.unacked;
    return (struct nd_room){now - sock->vain.silence, unacked < 0 ? -1 : now - unacked, sock->vain.queued};
}

/* Tells one address from another: the time that was waited for one is not the other's. */
static uint32_t hash(const struct sockaddr *addr, socklen_t len) {
    const uint8_t *bytes = (const uint8_t *)addr;
    uint32_t sum = 2166136261; /* FNV-1a */
    for (socklen_t i = 0; i < len && i < sizeof(struct sockaddr_storage); i++)
        sum = (sum ^ bytes[i]) * 16777619;
    return sum;
}

void nd_vain_connect(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len, nd_time waited) {
    sock->vain.silence = waited;
    sock->vain.unacked = -1;
    sock->vain.queued = hash(addr, len); /* the kernel has read it: it can be read */
    nd_sock_change(fd, sock, ND_SOCK_VAIN_OUT, 0);
}

nd_time nd_vain_connecting(const struct nd_sock *sock, const struct sockaddr *addr, socklen_t len, nd_time now) {
    const bool waited = (nd_sock_flags(sock) & ND_SOCK_VAIN_OUT) && len <= sizeof(struct sockaddr_storage);
    return waited && nd_readable(addr, len) && sock->vain.queued == hash(addr, len) ? now - sock->vain.silence : now;
}
