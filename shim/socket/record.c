#include "shim/socket/record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "shim/real.h"
#include "shim/socket/duplicates.h"
#include "shim/start.h"
#include "shim/wait/epoll_set.h"
#include "shim/wait/uring.h"

_Atomic uint8_t nd_watch_fast[ND_WATCH_FAST];

struct nd_sock_table nd_sock_table;

struct nd_sock *nd_sock_get(int fd) {
    struct nd_sock *sock = nd_sock_lookup(fd);
    if (sock || fd < 0 || fd >= ND_SOCK_CHUNK * ND_SOCK_CHUNKS)
        return sock;
    int saved = errno;
    size_t size = ND_SOCK_CHUNK * sizeof(struct nd_sock);
    struct nd_sock *chunk = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED) {
        errno = saved;
        return NULL;
    }
    struct nd_sock *expected = NULL;
    if (!atomic_compare_exchange_strong(&nd_sock_table.chunks[fd / ND_SOCK_CHUNK], &expected, chunk))
        munmap(chunk, size);
    errno = saved;
    return nd_sock_lookup(fd);
}

_Atomic bool nd_sock_any;

int nd_sock_highest(void) {
    return nd_sock_table.highest;
}

static void set_watch(int fd, struct nd_sock *sock, unsigned watch) {
    if (fd < ND_WATCH_FAST)
        atomic_store_explicit(&nd_watch_fast[fd], (uint8_t)watch, memory_order_relaxed);
    else
        atomic_store_explicit(&sock->watch, (uint8_t)watch, memory_order_relaxed);
}

#define NOT_STRAIGHT                                                                                                   \
    (ND_SOCK_EXPIRED | ND_SOCK_TLS_CANDIDATE | ND_SOCK_BORROWED | ND_SOCK_CARRIED_IN | ND_SOCK_CARRIED_OUT)

/* What lets the calls of a connected stream go straight, unless they must be looked at for more than their limits. */
static unsigned watch_straight(uint32_t flags, const struct nd_limits *limits, unsigned watch) {
    unsigned straight = 0;
    if (!(flags & ND_SOCK_CONNECTED) || nd_connection_limited_by(flags, limits) || nd_observing ||
        (flags & (NOT_STRAIGHT | ND_SOCK_LOWAT)))
        return 0;
    if (watch & ND_WATCH_OUT)
        straight |= (nd_send_space_limited_by(flags, limits) && !(flags & ND_SOCK_NONBLOCK) ? ND_WATCH_TRY : 0) |
                    (nd_recv_limit_by(flags, limits) ? ND_WATCH_NOTE : 0);
    if (watch & ND_WATCH_IN)
        straight |= ND_WATCH_KERNEL_TIMED;
    return straight;
}

/* Which way they go tells who owes a reply, and who speaks first whether RECV holds at all. */
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
        return sock->epoll.timed || sock->epoll.copy_of || nd_uring_changes ? ND_WATCH_WAIT : 0;
    const nd_time recv = nd_recv_limit_by(flags, limits);
    if ((flags & ND_SOCK_LISTENING) && nd_sock_accept_limit(sock))
        watch |= ND_WATCH_WAIT_IN;
    if (flags & NOT_STRAIGHT)
        watch |= ND_WATCH_IN | ND_WATCH_OUT;
    if (flags & ND_SOCK_EXPIRED)
        watch |= ND_WATCH_WAIT; /* to say so: wait/results.h */
    if ((flags & ND_SOCK_CONNECTING) || sock->operation.timeout)
        watch |= ND_WATCH_WAIT;
    if ((flags & (ND_SOCK_RCVTIMEO | ND_SOCK_KEEPALIVE)) || (nd_observing && ((flags & ND_SOCK_CONNECTED) || recv)))
        watch |= ND_WATCH_IN;
    if (nd_sock_is_datagram(sock))
        return watch | watch_datagrams(flags, limits);
    if (!(flags & ND_SOCK_STREAM) || !(flags & (ND_SOCK_CONNECTED | ND_SOCK_CONNECTING)))
        return watch;
    if (nd_send_space_limited_by(flags, limits))
        watch |= ND_WATCH_WAIT_OUT | (flags & ND_SOCK_NONBLOCK ? 0 : ND_WATCH_OUT);
    if (nd_connection_limited_by(flags, limits))
        watch |= ND_WATCH_WAIT | ND_WATCH_IN | ND_WATCH_OUT;
    if (recv || nd_observing) /* who spoke last tells who owes a reply */
        watch |= ND_WATCH_WAIT_IN | ND_WATCH_IN | ND_WATCH_OUT;
    return watch | watch_straight(flags, limits, watch);
}

/* A call in a TLS operation that has a deadline may wait for no longer than that. */
static unsigned watch_for(const struct nd_sock *sock) {
    const uint32_t flags = nd_sock_flags(sock);
    unsigned watch = watch_unscoped(sock, flags);
    if (!(flags & ND_SOCK_SCOPED) || (flags & ND_SOCK_NONBLOCK))
        return watch;
    if (!(watch & ND_WATCH_IN) || (watch & ND_WATCH_KERNEL_TIMED))
        watch |= ND_WATCH_IN | ND_WATCH_SCOPE;
    if (!(watch & ND_WATCH_OUT) || (watch & ND_WATCH_NOTE))
        watch |= ND_WATCH_OUT | (flags & ND_SOCK_CONNECTED ? ND_WATCH_TRY : 0);
    return watch;
}

/* Records come and go with every connection: plain stores, after the generation has changed. */
#define put(field, value) atomic_store_explicit(field, value, memory_order_relaxed)

/* LIFETIME counts from here. The inode is there to know the connection by when it ends. */
static void begin_life(int fd, struct nd_sock *sock) {
    const bool limited = nd_sock_limits(sock)->lifetime != 0;
    put(&sock->connection_clock.established,
        limited ? nd_now() : nd_now_coarse()); /* which may be a tick old, and so end it early */
    put(&sock->inode, limited ? nd_sock_inode(fd) : 0);
}

void nd_sock_change(int fd, struct nd_sock *sock, uint32_t set, uint32_t clear) {
    uint32_t old = nd_sock_flags(sock);
    const bool born = (set & ~old & ND_SOCK_CONNECTED) && ((old | set) & ND_SOCK_STREAM);
    const unsigned before = nd_watch_exact(fd);
    while (!atomic_compare_exchange_weak_explicit(&sock->flags, &old, (old & ~clear) | set, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
    uint32_t now = (old & ~clear) | set;
    if (born)
        begin_life(fd, sock);
    do { /* another thread's older view must not stand last */
        old = now;
        set_watch(fd, sock, watch_for(sock));
        now = nd_sock_flags(sock);
    } while (now != old);
    if (nd_watch_exact(fd) & ~before & ND_WATCH_WAIT) {
        atomic_thread_fence(memory_order_seq_cst); /* a thread that adds it meanwhile sees the bits, or is seen here */
        if (sock->in[0].set || sock->in[1].set)
            nd_epoll_member_changed(fd, sock);
    }
}

void nd_sock_begin_operation(int fd, struct nd_sock *sock, const char *name, const char *limit, nd_time timeout) {
    sock->operation.name = name;
    sock->operation.limit = limit;
    sock->operation.began = nd_now();
    sock->operation.grace_began = 0;
    sock->operation.timeout = timeout;
    nd_sock_change(fd, sock, 0, 0);
}

void nd_sock_end_operation(int fd, struct nd_sock *sock) {
    if (!sock->operation.timeout)
        return;
    sock->operation.timeout = 0;
    nd_sock_change(fd, sock, 0, 0);
}

uint64_t nd_sock_inode(int fd) {
    int saved = errno;
    struct stat st;
    uint64_t inode = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? (uint64_t)st.st_ino : 0;
    errno = saved;
    return inode;
}

struct nd_sock_hold nd_sock_take(int fd, const struct nd_sock *sock) {
    return (struct nd_sock_hold){sock->generation, nd_sock_inode(fd)};
}

bool nd_sock_held(int fd, const struct nd_sock *sock, const struct nd_sock_hold *hold) {
    return sock->generation == hold->generation && nd_sock_inode(fd) == hold->inode;
}

void nd_stopwatch_add(struct nd_stopwatch *watch, nd_time began, nd_time ended) {
    nd_time from = watch->accounted > began ? watch->accounted : began;
    if (began == ND_POLLED && ended - from > ND_POLLS_APART)
        atomic_store_explicit(&watch->accounted, ended, memory_order_relaxed);
    else if (ended > from) {
        atomic_fetch_add_explicit(&watch->waited, ended - from, memory_order_relaxed);
        atomic_store_explicit(&watch->accounted, ended, memory_order_relaxed);
    }
}

struct nd_sock *nd_sock_created(int fd, uint32_t flags) {
    struct nd_sock *sock = nd_sock_get(fd);
    if (!sock)
        return NULL;
    nd_sock_clear(fd);
    sock->generation++;
    put(&sock->settings, nd_settings_generation);
    if (!nd_sock_any)
        nd_sock_any = true;
    int seen = nd_sock_table.highest;
    while (fd > seen && !atomic_compare_exchange_weak(&nd_sock_table.highest, &seen, fd))
        ;
    nd_sock_change(fd, sock, flags | ND_SOCK_KNOWN, 0);
    return sock;
}

void nd_sock_clear(int fd) {
    struct nd_sock *sock = nd_sock_lookup(fd);
    const uint32_t flags = sock ? nd_sock_flags(sock) : 0;
    if (!flags)
        return;
    set_watch(fd, sock, 0);
    sock->generation++;
    put(&sock->flags, 0);
    put(&sock->own_rcvtimeo, 0);
    put(&sock->own_sndtimeo, 0);
    put(&sock->inode, 0);
    put(&sock->group, 0);
    put(&sock->own_marked, 0);
    put(&sock->profile, 0);
    put(&sock->connect_began, 0);
    put(&sock->blocked_senders, 0);
    put(&sock->operation.timeout, 0);
    put(&sock->tls, NULL);
    put(&sock->tls_functions, NULL);
    put(&sock->accepting, 0);
    put(&sock->reply_pending_since, 0);
    put(&sock->received_at, 0);
    memset(&sock->connection_clock, 0, sizeof sock->connection_clock);
    memset(&sock->carried_over, 0, sizeof sock->carried_over);
    memset(sock->in, 0, sizeof sock->in);
    memset(sock->clock, 0, sizeof sock->clock);
    if (flags & ND_SOCK_EPOLL)
        memset(&sock->epoll, 0, sizeof sock->epoll);
}

void nd_sock_clear_all(void) {
    for (int fd = 0; fd <= nd_sock_table.highest; fd++)
        nd_sock_clear(fd);
    nd_sock_any = false;
}

uint32_t nd_sock_family(int domain, int type, int protocol) {
    uint32_t flags = 0;
    bool tcp = protocol == 0 || protocol == IPPROTO_TCP;
    if (type == SOCK_STREAM || type == SOCK_SEQPACKET)
        flags |= ND_SOCK_STREAM;
    if ((domain == AF_INET || domain == AF_INET6) && (type == SOCK_DGRAM || (type == SOCK_STREAM && tcp)))
        flags |= ND_SOCK_INET;
    if (domain == AF_UNIX)
        flags |= ND_SOCK_LOCAL;
    return flags;
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

void nd_sock_copy(int fd, int to) {
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
