#include "shim/socket/ended.h"

#include "shim/report/end_request.h"
#include "shim/report/report.h"
#include "shim/socket/change.h"
#include "shim/socket/mptcp.h"
#include "shim/socket/option.h"
#include "shim/socket/tcp_info.h"

/* The option that holds the mark. The program's own value of it is kept in the record. */
static void mark_option(int fd, struct nd_sock *sock, int *level, int *name) {
    bool tcp = (nd_sock_flags(sock) & ND_SOCK_INET) && !nd_is_mptcp(fd, sock);
    *level = tcp ? IPPROTO_TCP : SOL_SOCKET;
    *name = tcp ? TCP_USER_TIMEOUT : SO_RCVLOWAT; // NOLINT(bugprone-branch-clone): 18 on either level
}

static int read_mark(int fd, struct nd_sock *sock) {
    int level, name;
    mark_option(fd, sock, &level, &name);
    return nd_option_get(fd, level, name, -1);
}

static void write_mark(int fd, struct nd_sock *sock, int value) {
    int level, name;
    mark_option(fd, sock, &level, &name);
    nd_option_set(fd, level, name, value);
}

static void leave_mark(int fd, struct nd_sock *sock) {
    int own = read_mark(fd, sock);
    if (own < 0 || own == ND_ENDED_MARK)
        return;
    sock->own_marked = own;
    write_mark(fd, sock, ND_ENDED_MARK);
}

static void mark(int fd, struct nd_sock *sock, uint64_t inode, uint32_t delivered) {
    sock->inode = inode;
    nd_sock_change(fd, sock, ND_SOCK_EXPIRED | delivered,
                   (ND_SOCK_CONNECTING | ND_SOCK_DELIVERED_IN | ND_SOCK_DELIVERED_OUT | ND_SOCK_DELIVERED_ERROR) &
                       ~delivered);
}

/* The stream may have other descriptors, as the dup of an fdopen. Costs an fstat for each known stream, once for each
 * expiry. */
static void mark_all(int fd, struct nd_sock *sock, uint32_t delivered) {
    uint64_t inode = nd_sock_inode(fd);
    mark(fd, sock, inode, delivered);
    for (int other = 0; inode && other <= nd_sock_highest(); other++) {
        struct nd_sock *copy = other == fd ? NULL : nd_sock_lookup(other);
        if (copy && (nd_sock_flags(copy) & ND_SOCK_STREAM) && nd_sock_inode(other) == inode)
            mark(other, copy, inode, delivered);
    }
}

void nd_ended_note(int fd, struct nd_sock *sock) {
    mark_all(fd, sock, 0);
    leave_mark(fd, sock);
}

void nd_expire_by_kernel(int fd, struct nd_sock *sock, enum nd_direction direction) {
    int saved = errno;
    if (!nd_expired(fd, sock))
        mark_all(fd, sock, ND_SOCK_DELIVERED_ERROR);
    nd_sock_change(fd, sock, direction == ND_IN ? ND_SOCK_DELIVERED_IN : ND_SOCK_DELIVERED_OUT, 0);
    errno = saved;
}

bool nd_expired(int fd, struct nd_sock *sock) {
    if (!(nd_sock_flags(sock) & ND_SOCK_EXPIRED))
        return false;
    uint64_t inode = nd_sock_inode(fd);
    if (inode != 0 && inode == sock->inode)
        return true;
    nd_sock_clear_stale(fd);
    return false;
}

static void report_if_asked(int fd) {
    struct nd_event event;
    if (nd_end_request_take(nd_sock_inode(fd), &event)) {
        event.fd = fd;
        nd_report_expiry(&event);
    }
}

/* SOCK_DESTROY leaves no mark, but an error for one call, and an end of file for the others. */
static bool was_destroyed(int fd) {
    struct nd_tcp_info info;
    return nd_end_request_is_any() && nd_end_request_exists(nd_sock_inode(fd)) && nd_tcp_info_read(fd, &info) &&
           info.state == TCP_CLOSE;
}

bool nd_expired_anywhere(int fd, struct nd_sock *sock) {
    if (nd_sock_flags(sock) & ND_SOCK_EXPIRED)
        return nd_expired(fd, sock);
    int saved = errno;
    bool ended = (nd_sock_flags(sock) & ND_SOCK_STREAM) && (read_mark(fd, sock) == ND_ENDED_MARK || was_destroyed(fd));
    if (ended) {
        nd_ended_note(fd, sock);
        report_if_asked(fd);
    }
    errno = saved;
    return ended;
}

bool nd_ended_by_kernel(int fd, struct nd_sock *sock) {
    struct nd_tcp_info info;
    int saved = errno;
    bool ended = nd_tcp_info_read(fd, &info) && nd_tcp_ended_by_keepalive(fd, &info);
    if (ended)
        mark_all(fd, sock, 0);
    errno = saved;
    return ended;
}

void nd_expiry_clear(int fd, struct nd_sock *sock) {
    int saved = errno;
    if (read_mark(fd, sock) == ND_ENDED_MARK)
        write_mark(fd, sock, sock->own_marked);
    sock->own_marked = 0;
    nd_sock_change(fd, sock, 0,
                   ND_SOCK_EXPIRED | ND_SOCK_DELIVERED_IN | ND_SOCK_DELIVERED_OUT | ND_SOCK_DELIVERED_ERROR |
                       ND_SOCK_CONNECTED);
    errno = saved;
}

int nd_expired_fail(int fd, struct nd_sock *sock, enum nd_direction direction) {
    uint32_t delivered = direction == ND_IN ? ND_SOCK_DELIVERED_IN : ND_SOCK_DELIVERED_OUT;
    if (!(nd_sock_flags(sock) & delivered)) {
        nd_sock_change(fd, sock, delivered, 0);
        errno = ETIMEDOUT;
    } else {
        errno = direction == ND_IN ? ECONNRESET : EPIPE;
    }
    return -1;
}
