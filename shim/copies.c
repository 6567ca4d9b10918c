#include "shim/copies.h"

/* What belongs to the socket, rather than to one descriptor's use. */
#define SHARED                                                                                                         \
    (ND_SOCK_NONBLOCK | ND_SOCK_CONNECTING | ND_SOCK_CONNECTED | ND_SOCK_BOUND | ND_SOCK_RCVTIMEO | ND_SOCK_SNDTIMEO | \
     ND_SOCK_SYNCNT | ND_SOCK_KEEPALIVE | ND_SOCK_LINGER | ND_SOCK_LOWAT)

void nd_copies_join(struct nd_sock *sock, struct nd_sock *copy) {
    static _Atomic uint32_t groups;
    uint32_t none = 0;
    if (!sock->group)
        atomic_compare_exchange_strong(&sock->group, &none, atomic_fetch_add(&groups, 1) + 1);
    copy->group = atomic_load(&sock->group);
}

static void tell(const struct nd_sock *sock, int fd, struct nd_sock *copy) {
    /* A call has SO_SNDTIMEO on loan: what stands there is neither's. */
    const bool lent = ((nd_sock_flags(sock) | nd_sock_flags(copy)) & ND_SOCK_BORROWED) != 0;
    const uint32_t which = lent ? SHARED & ~(uint32_t)ND_SOCK_SNDTIMEO : SHARED;
    const uint32_t flags = nd_sock_flags(sock) & which;
    copy->profile = atomic_load(&sock->profile);
    copy->own_rcvtimeo = atomic_load(&sock->own_rcvtimeo);
    if (!lent)
        copy->own_sndtimeo = atomic_load(&sock->own_sndtimeo);
    copy->own_syncnt = atomic_load(&sock->own_syncnt);
    for (int i = 0; i < 4; i++)
        copy->own_keepalive[i] = atomic_load(&sock->own_keepalive[i]);
    copy->connect_began = sock->connect_began;
    copy->peer = sock->peer;
    if ((nd_sock_flags(copy) & which) != flags)
        nd_sock_change(fd, copy, flags, which & ~flags);
}

void nd_copies_tell(int fd, const struct nd_sock *sock) {
    const uint64_t inode = sock->group ? nd_sock_inode(fd) : 0;
    for (int other = 0; inode && other <= nd_sock_highest(); other++) {
        struct nd_sock *copy = nd_sock_peek(other);
        if (copy && copy != sock && copy->group == sock->group && nd_sock_inode(other) == inode)
            tell(sock, other, copy);
    }
}
