#include "shim/socket/duplicates.h"

#include <string.h>

#include "shim/socket/change.h"
#include "shim/socket/tcp_info.h"

/* What belongs to the socket, rather than to one descriptor's use. */
#define SHARED                                                                                                         \
    (ND_SOCK_NONBLOCK | ND_SOCK_CONNECTING | ND_SOCK_CONNECTED | ND_SOCK_BOUND | ND_SOCK_RCVTIMEO | ND_SOCK_SNDTIMEO | \
     ND_SOCK_SYNCNT | ND_SOCK_KEEPALIVE | ND_SOCK_LINGER | ND_SOCK_LOWAT)

void nd_duplicates_join(struct nd_sock *sock, struct nd_sock *copy) {
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

/* One pass over the other descriptors of a socket. */
struct copies {
    const struct nd_sock *of;
    uint64_t inode; /* 0: it has none */
    int fd;         /* where it is */
};

static struct copies copies_of(int fd, const struct nd_sock *sock) {
    return (struct copies){sock, sock->group ? nd_sock_inode(fd) : 0, -1};
}

/* The next record, or NULL. */
static struct nd_sock *next_copy(struct copies *copies) {
    const struct nd_sock *of = copies->of;
    while (copies->inode && ++copies->fd <= nd_sock_highest()) {
        struct nd_sock *copy = nd_sock_lookup(copies->fd);
        if (copy && copy != of && copy->group == of->group && nd_sock_inode(copies->fd) == copies->inode)
            return copy;
    }
    return NULL;
}

void nd_duplicates_update(int fd, const struct nd_sock *sock) {
    struct nd_sock *copy;
    for (struct copies copies = copies_of(fd, sock); (copy = next_copy(&copies));)
        tell(sock, copies.fd, copy);
}

/* Of a TCP connection the kernel says, before a limit fires, when bytes moved last, whichever descriptor they moved through. Of
 * others only the clock knows, and must not be behind. */
static bool kernel_knows(const struct nd_sock *sock) {
    const uint32_t all = ND_SOCK_STREAM | ND_SOCK_INET;
    return (nd_sock_flags(sock) & (all | ND_SOCK_LISTENING)) == all;
}

static bool kernel_counts(const struct nd_sock *sock) {
    return !sock->connection_clock.counting;
}

void nd_duplicates_inherit(const struct nd_sock *sock, struct nd_sock *copy) {
    if (!kernel_knows(sock))
        return;
    memcpy(copy->clock, sock->clock, sizeof copy->clock);
    if (kernel_counts(sock))
        memcpy(&copy->connection_clock, &sock->connection_clock, sizeof copy->connection_clock);
    copy->reply_pending_since = atomic_load(&sock->reply_pending_since);
}

/* What the heir has waited itself since bytes moved is its own. */
static void bequeath(const struct nd_sock *sock, struct nd_sock *heir) {
    for (int i = 0; i < 2; i++)
        if (nd_wait_clock_silence(&sock->clock[i]) > nd_wait_clock_silence(&heir->clock[i]))
            memcpy(&heir->clock[i], &sock->clock[i], sizeof heir->clock[i]);
    if (kernel_counts(sock) && sock->connection_clock.time.waited > heir->connection_clock.time.waited)
        memcpy(&heir->connection_clock, &sock->connection_clock, sizeof heir->connection_clock);
    if ((nd_sock_flags(sock) & ~nd_sock_flags(heir)) & ND_SOCK_SENT_LAST) {
        heir->reply_pending_since = atomic_load(&sock->reply_pending_since);
        atomic_fetch_or(&heir->flags, ND_SOCK_SENT_LAST);
    }
}

void nd_duplicates_hand_over(int fd, const struct nd_sock *sock) {
    const nd_time waited =
        sock->clock[ND_IN].time.waited + sock->clock[ND_OUT].time.waited + sock->connection_clock.time.waited;
    const bool tells = waited || (nd_sock_flags(sock) & ND_SOCK_SENT_LAST);
    struct nd_sock *heir;
    if (!tells || !kernel_knows(sock))
        return;
    for (struct copies copies = copies_of(fd, sock); (heir = next_copy(&copies));)
        bequeath(sock, heir);
}

/* How long ago a question went out through `asker`, one of the descriptors of `sock`; -1 for none. */
static nd_time asked_through(struct nd_sock *asker, const struct nd_sock *sock, nd_time sent, nd_time heard,
                             nd_time now) {
    if (!(nd_sock_flags(asker) & ND_SOCK_SENT_LAST) || !asker->reply_pending_since)
        return -1;
    const nd_time since = now - asker->reply_pending_since;
    if (!sock->group || since <= heard + ND_TCP_TICK || ((nd_sock_flags(sock) | nd_sock_flags(asker)) & ND_SOCK_SCOPED))
        return since;
    /* It was answered through another descriptor, and notes the next. (TLS hears things that answer nothing.) */
    atomic_fetch_and(&asker->flags, ~(uint32_t)ND_SOCK_SENT_LAST);
    return sent;
}

nd_time nd_duplicates_reply_pending(int fd, struct nd_sock *sock, nd_time sent, nd_time heard, nd_time now) {
    nd_time first = asked_through(sock, sock, sent, heard, now);
    struct nd_sock *copy;
    for (struct copies copies = copies_of(fd, sock); (copy = next_copy(&copies));) {
        const nd_time its = asked_through(copy, sock, sent, heard, now);
        first = its > first ? its : first;
    }
    return first < 0 ? ND_NEVER : first;
}

/* Both are the same set, whose record stays where it is. */
static void copy_set(int fd, const struct nd_sock *from, struct nd_sock *copy) {
    int home = from->epoll.copy_of ? from->epoll.copy_of - 1 : fd;
    struct nd_sock *its = nd_sock_lookup(home);
    if (!its)
        return;
    its->epoll.has_copies = true;
    copy->epoll.copy_generation = atomic_load(&its->generation);
    copy->epoll.copy_of = home + 1;
}

void nd_duplicates_create(int fd, int to) {
    struct nd_sock *from = nd_sock_lookup(fd);
    if (!from || !(nd_sock_flags(from) & ND_SOCK_KNOWN)) {
        nd_sock_clear(to);
        return;
    }
    struct nd_sock *copy = nd_sock_get(to);
    if (!copy || copy == from)
        return;
    nd_sock_created(to, 0);
    copy->profile = atomic_load(&from->profile);
    copy->own_syncnt = atomic_load(&from->own_syncnt);
    for (int i = 0; i < 4; i++)
        copy->own_keepalive[i] = atomic_load(&from->own_keepalive[i]);
    copy->own_rcvtimeo = atomic_load(&from->own_rcvtimeo);
    copy->own_sndtimeo = atomic_load(&from->own_sndtimeo);
    copy->own_marked = atomic_load(&from->own_marked);
    copy->connect_began = from->connect_began;
    copy->peer = from->peer;
    if (nd_sock_flags(from) & ND_SOCK_EPOLL)
        copy_set(fd, from, copy);
    nd_sock_change(to, copy,
                   nd_sock_flags(from) & ~(uint32_t)(ND_SOCK_SCOPED | ND_SOCK_TLS_OWN | ND_SOCK_TIMEOUT_PENDING), 0);
    copy->connection_clock.established = atomic_load(&from->connection_clock.established);
    copy->inode = atomic_load(&from->inode);
    if (!(nd_sock_flags(from) & ND_SOCK_EPOLL)) {
        nd_duplicates_inherit(from, copy);
        nd_duplicates_join(from, copy);
    }
}
