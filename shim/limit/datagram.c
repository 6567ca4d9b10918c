#include "shim/limit/datagram.h"

#include "shim/limit/carry_over.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"

/* Whether the kernel chooses the port. Linux accepts AF_UNSPEC in place of AF_INET. */
_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port), "in both families");
static bool has_free_port(const struct sockaddr *addr, socklen_t len) {
    return len >= sizeof(struct sockaddr_in) && ((const struct sockaddr_in *)addr)->sin_port == 0;
}

void nd_datagram_bound(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len) {
    const bool undecided = (nd_sock_flags(sock) & ND_SOCK_INET) && has_free_port(addr, len);
    nd_sock_change(fd, sock, ND_SOCK_BOUND | (undecided ? ND_SOCK_ROLE_UNKNOWN : 0), 0);
    if (!nd_sock_recv_limit(sock))
        nd_kernel_timers_disarm(fd, sock);
}

void nd_datagram_connected(int fd, struct nd_sock *sock, bool connected) {
    const uint32_t before = ND_SOCK_TIMEOUT_PENDING | ND_SOCK_SENT_LAST, after = ND_SOCK_CONNECTED | ND_SOCK_CLIENT;
    nd_sock_change(fd, sock, connected ? after : 0, connected ? before | ND_SOCK_ROLE_UNKNOWN : before | after);
    if (nd_sock_recv_limit(sock))
        nd_kernel_timers_arm(fd, sock);
    else
        nd_kernel_timers_disarm(fd, sock);
}

void nd_datagram_sent(int fd, struct nd_sock *sock, const void *to, socklen_t len) {
    if (!(nd_sock_flags(sock) & ND_SOCK_SENT_LAST)) {
        memset(&sock->peer, 0, sizeof sock->peer);
        if (to)
            memcpy(&sock->peer, to, len < sizeof sock->peer ? len : sizeof sock->peer);
    }
    nd_sock_sent(sock);
    nd_carry_over_end(fd, sock, ND_IN); /* another request, which has the whole limit; nd_sock_sent dates the first */
    if (!(nd_sock_flags(sock) & ND_SOCK_ROLE_UNKNOWN))
        return;
    nd_sock_change(fd, sock, ND_SOCK_CLIENT, ND_SOCK_ROLE_UNKNOWN);
    nd_kernel_timers_arm(fd, sock);
}

void nd_datagram_received(int fd, struct nd_sock *sock) {
    sock->received_at = nd_now_coarse();
    nd_sock_received(sock);
    nd_carry_over_end(fd, sock, ND_IN);
    if (nd_sock_flags(sock) & (ND_SOCK_TIMEOUT_PENDING | ND_SOCK_ROLE_UNKNOWN))
        nd_sock_change(fd, sock, 0, ND_SOCK_TIMEOUT_PENDING | ND_SOCK_ROLE_UNKNOWN);
}
