#include "shim/socket/change.h"

#include "base/compiler.h"
#include "shim/mode.h"
#include "shim/socket/limits.h"
#include "shim/socket/owner.h"

const struct nd_sock_listener *_Atomic nd_sock_listener;
_Atomic uint32_t nd_sock_uring_changes;

#define NOT_FAST                                                                                                       \
    (ND_SOCK_EXPIRED | ND_SOCK_TLS_CANDIDATE | ND_SOCK_BORROWED | ND_SOCK_CARRIED_IN | ND_SOCK_CARRIED_OUT |           \
     ND_SOCK_HANDED_ON)

/* The bits that let the calls of a connected stream take the fast path, where the slow one is for nothing but their
 * limits. */
static unsigned watch_fast(uint32_t flags, const struct nd_limits *limits, unsigned watch) {
    unsigned fast = 0;
    if (!(flags & ND_SOCK_CONNECTED) || nd_connection_limited_by(flags, limits) || nd_observing ||
        (flags & (NOT_FAST | ND_SOCK_LOWAT)))
        return 0;
    if (watch & ND_WATCH_OUT)
        fast |= (nd_send_space_limited_by(flags, limits) && !(flags & ND_SOCK_NONBLOCK) ? ND_WATCH_TRY : 0) |
                (nd_recv_limit_by(flags, limits) ? ND_WATCH_NOTE : 0);
    /* A blocking call whose first limit is UNACKED must be woken by us; the kernel times RECV. */
    const nd_time gone = nd_gone_limit_by(flags, limits), recv = nd_recv_limit_by(flags, limits);
    const bool timed = (flags & ND_SOCK_RCVTIMEO) && !(gone && gone < recv);
    if ((watch & ND_WATCH_IN) && ((flags & ND_SOCK_NONBLOCK) || timed || !(fast & ND_WATCH_TRY)))
        fast |= ND_WATCH_KERNEL_TIMED;
    return fast;
}

/* The direction of datagrams shows whether a reply is pending, and the side that sends first whether RECV holds at all.
 */
static unsigned watch_datagrams(uint32_t flags, const struct nd_limits *limits) {
    if (nd_recv_limit_by(flags, limits))
        return ND_WATCH_WAIT_IN | ND_WATCH_IN | ND_WATCH_OUT;
    return (flags & ND_SOCK_ROLE_UNKNOWN) && limits->recv ? ND_WATCH_IN | ND_WATCH_OUT : 0;
}

static unsigned watch_unscoped(const struct nd_sock *sock, uint32_t flags) {
    const struct nd_limits *limits = nd_sock_limits_by(sock, flags);
    unsigned watch = 0;
    if (!(flags & ND_SOCK_KNOWN))
        return 0;
    if (flags & ND_SOCK_EPOLL)
        return sock->epoll.timed || sock->epoll.copy_of || nd_sock_uring_changes ||
                       (sock->epoll.used && sock->epoll.settings != nd_settings_generation)
                   ? ND_WATCH_WAIT
               : sock->epoll.gone ? ND_WATCH_GONE
                                  : 0;
    const nd_time recv = nd_recv_limit_by(flags, limits);
    if ((flags & ND_SOCK_LISTENING) && nd_sock_accept_limit(sock))
        watch |= ND_WATCH_WAIT_IN;
    if (flags & NOT_FAST)
        watch |= ND_WATCH_IN | ND_WATCH_OUT;
    if (flags & ND_SOCK_EXPIRED)
        watch |= ND_WATCH_WAIT; /* to report it: wait/results.h */
    if ((flags & ND_SOCK_CONNECTING) || sock->operation.timeout)
        watch |= ND_WATCH_WAIT;
    if ((flags & ND_SOCK_CONNECTING) && !(flags & ND_SOCK_NONBLOCK))
        watch |= ND_WATCH_IN | ND_WATCH_OUT; /* calls that block wait for the connection first: call/connect.h */
    if (sock->deferred)
        watch |= ND_WATCH_OUT;
    if ((flags & ND_SOCK_RCVTIMEO) || (nd_observing && ((flags & ND_SOCK_CONNECTED) || recv)))
        watch |= ND_WATCH_IN;
    if (nd_sock_is_datagram(sock))
        return watch | watch_datagrams(flags, limits);
    if (!(flags & ND_SOCK_STREAM) || !(flags & (ND_SOCK_CONNECTED | ND_SOCK_CONNECTING)))
        return watch;
    if (nd_send_space_limited_by(flags, limits))
        watch |= ND_WATCH_WAIT_OUT | (flags & ND_SOCK_NONBLOCK ? 0 : ND_WATCH_OUT);
    if (nd_connection_limited_by(flags, limits))
        watch |= ND_WATCH_WAIT | ND_WATCH_IN | ND_WATCH_OUT;
    if (recv || nd_observing) /* the last direction shows whether a reply is pending */
        watch |= ND_WATCH_WAIT_IN | ND_WATCH_IN | ND_WATCH_OUT;
    if (nd_gone_limit_by(flags, limits) || (flags & ND_SOCK_KEEPALIVE))
        watch |= !(flags & ND_SOCK_NONBLOCK) ? ND_WATCH_IN : watch & ND_WATCH_IN ? 0 : ND_WATCH_GONE;
    return watch | watch_fast(flags, limits, watch);
}

/* A call within a TLS operation may wait no longer than until the deadline of that. */
static unsigned watch_for(const struct nd_sock *sock) {
    const uint32_t flags = nd_sock_flags(sock);
    unsigned watch = watch_unscoped(sock, flags);
    if (!(flags & ND_SOCK_SCOPED) || (flags & ND_SOCK_NONBLOCK))
        return watch;
    if (!(watch & ND_WATCH_IN) || (watch & (ND_WATCH_KERNEL_TIMED | ND_WATCH_TRY)))
        watch |= ND_WATCH_IN | ND_WATCH_SCOPE;
    if (!(watch & ND_WATCH_OUT) || (watch & ND_WATCH_NOTE))
        watch |= ND_WATCH_OUT | (flags & ND_SOCK_CONNECTED ? ND_WATCH_TRY : 0);
    return watch;
}

/* Records change with every connection: plain stores, after the generation has changed. */
#define put(field, value) atomic_store_explicit(field, value, memory_order_relaxed)

/* LIFETIME counts from here. By the inode the connection is recognized when that expires. */
static void begin_lifetime(int fd, struct nd_sock *sock) {
    const bool limited = nd_sock_limits(sock)->lifetime != 0;
    put(&sock->connection_clock.established,
        limited ? nd_now() : nd_now_coarse()); /* the coarse clock may be a tick behind: LIFETIME would expire early */
    put(&sock->inode, limited ? nd_sock_inode(fd) : 0);
}

void nd_sock_change(int fd, struct nd_sock *sock, uint32_t set, uint32_t clear) {
    uint32_t old = nd_sock_flags(sock);
    const bool established = (set & ~old & ND_SOCK_CONNECTED) && ((old | set) & ND_SOCK_STREAM);
    const unsigned before = nd_watch_exact(fd);
    while (!atomic_compare_exchange_weak_explicit(&sock->flags, &old, (old & ~clear) | set, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
    uint32_t now = (old & ~clear) | set;
    if (established)
        begin_lifetime(fd, sock);
    unsigned watch;
    do { /* bits by another thread's older view must not remain */
        old = now;
        watch = watch_for(sock);
        nd_watch_set(fd, sock, watch);
        now = nd_sock_flags(sock);
    } while (now != old || ((now & ND_SOCK_EPOLL) && watch_for(sock) != watch));
    if (nd_watch_exact(fd) & ~before & ND_WATCH_WAIT) {
        atomic_thread_fence(
            memory_order_seq_cst); /* a thread that adds it to a set meanwhile sees the bits, or is seen here */
        if (nd_sock_is_in_set(sock))
            nd_sock_listener->limited(fd, sock);
    }
}

void nd_sock_begin_operation(int fd, struct nd_sock *sock, const char *name, const char *limit, nd_time timeout) {
    sock->operation.name = name;
    sock->operation.limit = limit;
    sock->operation.began = nd_now();
    sock->operation.grace_began = 0;
    sock->operation.paused = 0;
    sock->operation.timeout = timeout;
    nd_sock_change(fd, sock, 0, 0);
}

void nd_sock_end_operation(int fd, struct nd_sock *sock) {
    if (!sock->operation.timeout)
        return;
    sock->operation.timeout = 0;
    nd_sock_change(fd, sock, 0, 0);
}

struct nd_sock *nd_sock_created(int fd, uint32_t flags) {
    struct nd_sock *sock = nd_sock_get(fd);
    if (!sock || nd_owner_left_table || (nd_unlikely(nd_sock_flags(sock)) && !nd_owner_is_caller()))
        return NULL;
    nd_sock_clear(fd);
    sock->generation++;
    put(&sock->settings, nd_settings_generation);
    if (!nd_sock_any) {
        nd_sock_any = nd_next_any ? ND_SOCK_SOME_WRAPPED : ND_SOCK_SOME;
        nd_owner_note();
    }
    int seen = nd_sock_table.highest;
    while (fd > seen && !atomic_compare_exchange_weak(&nd_sock_table.highest, &seen, fd))
        ;
    nd_sock_change(fd, sock, flags | ND_SOCK_KNOWN, 0);
    return sock;
}
