#include "shim/socket/record.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "shim/socket/owner.h"

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

void nd_watch_set(int fd, struct nd_sock *sock, unsigned watch) {
    if (fd < ND_WATCH_FAST)
        atomic_store_explicit(&nd_watch_fast[fd], (uint8_t)watch, memory_order_relaxed);
    else
        atomic_store_explicit(&sock->watch, (uint8_t)watch, memory_order_relaxed);
}

_Atomic uint8_t nd_sock_any;

int nd_sock_highest(void) {
    return nd_sock_table.highest;
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

/* Records change with every connection: plain stores, after the generation has changed. */
#define put(field, value) atomic_store_explicit(field, value, memory_order_relaxed)

void nd_sock_clear(int fd) {
    struct nd_sock *sock = nd_sock_lookup(fd);
    const uint32_t flags = sock ? nd_sock_flags(sock) : 0;
    if (!flags)
        return;
    nd_watch_set(fd, sock, 0);
    sock->generation++;
    put(&sock->flags, 0);
    put(&sock->own_rcvtimeo, 0);
    put(&sock->own_sndtimeo, 0);
    put(&sock->inode, 0);
    put(&sock->group, 0);
    put(&sock->own_marked, 0);
    put(&sock->own_rto_max, 0);
    put(&sock->profile, 0);
    put(&sock->protocol, 0);
    put(&sock->connect_began, 0);
    put(&sock->defers_connects, false);
    put(&sock->deferred, false);
    put(&sock->blocked_senders, 0);
    put(&sock->gone_check_at, 0);
    put(&sock->unacked_since, 0);
    put(&sock->operation.timeout, 0);
    put(&sock->tls, NULL);
    put(&sock->tls_functions, NULL);
    put(&sock->accepting, 0);
    put(&sock->reply_pending_since, 0);
    put(&sock->received_at, 0);
    memset(sock->own_keepalive, 0, sizeof sock->own_keepalive);
    memset(&sock->connection_clock, 0, sizeof sock->connection_clock);
    memset(&sock->carried_over, 0, sizeof sock->carried_over);
    memset(sock->in, 0, sizeof sock->in);
    memset(sock->clock, 0, sizeof sock->clock);
    if (flags & ND_SOCK_EPOLL)
        memset(&sock->epoll, 0, sizeof sock->epoll);
}

void nd_sock_clear_stale(int fd) {
    const struct nd_sock *sock = nd_sock_lookup(fd);
    if (sock && nd_sock_flags(sock) && nd_owner_is_caller())
        nd_sock_clear(fd);
}

void nd_sock_clear_all(void) {
    for (int fd = 0; fd <= nd_sock_table.highest; fd++)
        nd_sock_clear(fd);
    nd_sock_any = ND_SOCK_NONE;
}

uint32_t nd_sock_family(int domain, int type, int protocol) {
    uint32_t flags = 0;
    bool tcp = protocol == 0 || protocol == IPPROTO_TCP || protocol == ND_SOCK_MPTCP_PROTOCOL;
    if (type == SOCK_STREAM || type == SOCK_SEQPACKET)
        flags |= ND_SOCK_STREAM;
    if ((domain == AF_INET || domain == AF_INET6) && (type == SOCK_DGRAM || (type == SOCK_STREAM && tcp)))
        flags |= ND_SOCK_INET;
    if (domain == AF_UNIX)
        flags |= ND_SOCK_LOCAL;
    return flags;
}
