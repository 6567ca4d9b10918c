#include "shim/socket/duplicates.h"

#include <string.h>

#include "shim/socket/change.h"
#include "shim/socket/establish.h"
#include "shim/socket/owner.h"
#include "shim/socket/tcp_info.h"

/* The flags of the socket, rather than of one descriptor. */
#define SHARED                                                                                                         \
    (ND_SOCK_NONBLOCK | ND_SOCK_CONNECTING | ND_SOCK_CONNECTED | ND_SOCK_BOUND | ND_SOCK_RCVTIMEO | ND_SOCK_SNDTIMEO | \
     ND_SOCK_SYNCNT | ND_SOCK_KEEPALIVE | ND_SOCK_LINGER | ND_SOCK_LOWAT | ND_SOCK_HANDED_ON)

void nd_duplicates_join(struct nd_sock *sock, struct nd_sock *duplicate) {
    static _Atomic uint32_t groups;
    uint32_t none = 0;
    if (!sock->group)
        atomic_compare_exchange_strong(&sock->group, &none, atomic_fetch_add(&groups, 1) + 1);
    duplicate->group = atomic_load(&sock->group);
}

/* Copies what else is the socket's, but for SO_SNDTIMEO. */
static void copy_shared(const struct nd_sock *sock, struct nd_sock *duplicate) {
    duplicate->profile = atomic_load(&sock->profile);
    duplicate->own_rcvtimeo = atomic_load(&sock->own_rcvtimeo);
    duplicate->own_syncnt = atomic_load(&sock->own_syncnt);
    duplicate->own_rto_max = atomic_load(&sock->own_rto_max);
    for (int i = 0; i < 4; i++)
        duplicate->own_keepalive[i] = atomic_load(&sock->own_keepalive[i]);
    duplicate->connect_began = sock->connect_began;
    duplicate->peer = sock->peer;
}

static void update(const struct nd_sock *sock, int fd, struct nd_sock *duplicate) {
    /* A call has borrowed SO_SNDTIMEO: its present value belongs to neither record. */
    const bool lent = ((nd_sock_flags(sock) | nd_sock_flags(duplicate)) & ND_SOCK_BORROWED) != 0;
    const uint32_t which = lent ? SHARED & ~(uint32_t)ND_SOCK_SNDTIMEO : SHARED;
    const uint32_t flags = nd_sock_flags(sock) & which;
    copy_shared(sock, duplicate);
    if (!lent)
        duplicate->own_sndtimeo = atomic_load(&sock->own_sndtimeo);
    if ((nd_sock_flags(duplicate) & which) != flags)
        nd_sock_change(fd, duplicate, flags, which & ~flags);
}

/* One pass over the other descriptors of a socket. */
struct duplicates {
    const struct nd_sock *of;
    uint64_t inode; /* 0: it has none */
    int fd;         /* of the present one */
};

static struct duplicates duplicates_of(int fd, const struct nd_sock *sock) {
    return (struct duplicates){sock, sock->group ? nd_sock_inode(fd) : 0, -1};
}

/* The next record, or NULL. */
static struct nd_sock *next_duplicate(struct duplicates *duplicates) {
    const struct nd_sock *of = duplicates->of;
    while (duplicates->inode && ++duplicates->fd <= nd_sock_highest()) {
        struct nd_sock *duplicate = nd_sock_lookup(duplicates->fd);
        if (duplicate && duplicate != of && duplicate->group == of->group &&
            nd_sock_inode(duplicates->fd) == duplicates->inode)
            return duplicate;
    }
    return NULL;
}

void nd_duplicates_update(int fd, const struct nd_sock *sock) {
    struct nd_sock *duplicate;
    for (struct duplicates duplicates = duplicates_of(fd, sock); (duplicate = next_duplicate(&duplicates));)
        update(sock, duplicates.fd, duplicate);
}

/* Whether the kernel dates the last bytes, through whichever descriptor they moved, so that a copied clock that runs
 * ahead ends nothing. Of other sockets only the clocks know, and a copy could miss what moves through the other
 * descriptor. */
static bool kernel_knows(const struct nd_sock *sock) {
    const uint32_t all = ND_SOCK_STREAM | ND_SOCK_INET;
    return (nd_sock_flags(sock) & (all | ND_SOCK_LISTENING)) == all;
}

static bool kernel_counts(const struct nd_sock *sock) {
    return !sock->connection_clock.counting;
}

/* Copies the clocks to a duplicate that was just made: shells make one for each redirection, as in a loop of `read -t 1
 * <&3`, and the limits would never expire if each began with new clocks. */
static void inherit_clocks(const struct nd_sock *sock, struct nd_sock *duplicate) {
    if (!kernel_knows(sock))
        return;
    memcpy(duplicate->clock, sock->clock, sizeof duplicate->clock);
    if (kernel_counts(sock))
        memcpy(&duplicate->connection_clock, &sock->connection_clock, sizeof duplicate->connection_clock);
    duplicate->reply_pending_since = atomic_load(&sock->reply_pending_since);
}

/* Passes the longer silence on; what the heir has waited itself since bytes moved remains its own. */
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
    const bool counts = waited || (nd_sock_flags(sock) & ND_SOCK_SENT_LAST);
    struct nd_sock *heir;
    if (!counts || !kernel_knows(sock))
        return;
    for (struct duplicates duplicates = duplicates_of(fd, sock); (heir = next_duplicate(&duplicates));)
        bequeath(sock, heir);
}

/* How long ago a request was sent through `sender`, a record of the same socket as `sock`; -1 for none. */
static nd_time requested_through(struct nd_sock *sender, const struct nd_sock *sock, nd_time sent, nd_time received,
                                 nd_time now) {
    if (!(nd_sock_flags(sender) & ND_SOCK_SENT_LAST) || !sender->reply_pending_since)
        return -1;
    const nd_time since = now - sender->reply_pending_since;
    if (!sock->group || since <= received + ND_TCP_TICK ||
        ((nd_sock_flags(sock) | nd_sock_flags(sender)) & ND_SOCK_SCOPED))
        return since;
    /* The reply came through another descriptor: the next bytes sent are another request. (TLS receives records that
     * are no reply.) */
    atomic_fetch_and(&sender->flags, ~(uint32_t)ND_SOCK_SENT_LAST);
    return sent;
}

nd_time nd_duplicates_reply_pending(int fd, struct nd_sock *sock, nd_time sent, nd_time received, nd_time now) {
    nd_time first = requested_through(sock, sock, sent, received, now);
    struct nd_sock *duplicate;
    for (struct duplicates duplicates = duplicates_of(fd, sock); (duplicate = next_duplicate(&duplicates));) {
        const nd_time since = requested_through(duplicate, sock, sent, received, now);
        first = since > first ? since : first;
    }
    return first < 0 ? ND_NEVER : first;
}

/* Both are one epoll set, whose state stays in the record of the first descriptor. */
static void duplicate_set(int fd, const struct nd_sock *from, struct nd_sock *duplicate) {
    int home = from->epoll.copy_of ? from->epoll.copy_of - 1 : fd;
    struct nd_sock *set = nd_sock_lookup(home);
    if (!set)
        return;
    set->epoll.has_copies = true;
    duplicate->epoll.copy_generation = atomic_load(&set->generation);
    duplicate->epoll.copy_of = home + 1;
}

void nd_duplicates_create(int fd, int to) {
    struct nd_sock *from = nd_sock_lookup(fd);
    if (!from || !(nd_sock_flags(from) & ND_SOCK_KNOWN)) {
        nd_sock_clear_stale(to);
        return;
    }
    struct nd_sock *duplicate = nd_owner_is_caller() ? nd_sock_get(to) : NULL;
    if (!duplicate || duplicate == from || !nd_sock_created(to, 0))
        return;
    copy_shared(from, duplicate);
    duplicate->own_sndtimeo = atomic_load(&from->own_sndtimeo);
    duplicate->own_marked = atomic_load(&from->own_marked);
    nd_establish_inherit(from, duplicate);
    if (nd_sock_flags(from) & ND_SOCK_EPOLL)
        duplicate_set(fd, from, duplicate);
    nd_sock_change(to, duplicate,
                   nd_sock_flags(from) & ~(uint32_t)(ND_SOCK_SCOPED | ND_SOCK_TLS_OWN | ND_SOCK_TIMEOUT_PENDING), 0);
    duplicate->connection_clock.established = atomic_load(&from->connection_clock.established);
    duplicate->inode = atomic_load(&from->inode);
    if (!(nd_sock_flags(from) & ND_SOCK_EPOLL)) {
        inherit_clocks(from, duplicate);
        nd_duplicates_join(from, duplicate);
    }
}
