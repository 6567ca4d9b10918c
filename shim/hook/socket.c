/* socket, socketpair, bind, listen: note in the record what the descriptor is, so that other hooks need not ask the
 * kernel. */
#include <errno.h>

#include "shim/hook/hook.h"
#include "shim/limit/datagram.h"
#include "shim/mode.h"
#include "shim/next.h"
#include "shim/socket/change.h"
#include "shim/socket/keepalive.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/socket/option.h"
#include "shim/socket/profile.h"

#define TYPE_MASK 0xf /* SOCK_TYPE_MASK of the kernel: the rest are flags */

/* Another library may have made a socket of another family in the place of the one that was asked for (socket_wrapper:
 * AF_UNIX). It hides that from the program; the kernel tells. */
static int domain_made(int fd, int domain) {
    return nd_next_is(socket) ? nd_option_of_kernel(fd, SOL_SOCKET, SO_DOMAIN, domain) : domain;
}

ND_COLD static void note_created(int fd, int domain, int type, int protocol) {
    int saved = errno;
    int kind = type & TYPE_MASK;
    uint32_t flags = nd_sock_family(domain_made(fd, domain), kind, protocol);
    if (type & SOCK_NONBLOCK)
        flags |= ND_SOCK_NONBLOCK;
    struct nd_sock *sock = nd_sock_created(fd, flags);
    if (sock && kind == SOCK_DGRAM)
        nd_kernel_timers_arm(fd, sock);
    errno = saved;
}

int nd_hook_socket(int domain, int type, int protocol) {
    int fd = nd_real.socket(domain, type, protocol);
    if (fd >= 0 && nd_active)
        note_created(fd, domain, type, protocol);
    return fd;
}

/* A socketpair is used as a pipe and never bounded. The records of its numbers are cleared: another socket may have had
 * them. */
int nd_hook_socketpair(int domain, int type, int protocol, int fds[2]) {
    int result = nd_real.socketpair(domain, type, protocol, fds);
    for (int i = 0; i < 2 && result == 0; i++)
        nd_sock_clear_stale(fds[i]);
    return result;
}

int nd_hook_bind(int fd, const struct sockaddr *addr, socklen_t len) {
    int result = nd_real.bind(fd, addr, len);
    struct nd_sock *sock = result == 0 && nd_active ? nd_sock_lookup(fd) : NULL;
    if (sock && (nd_sock_flags(sock) & ND_SOCK_KNOWN)) {
        if (nd_sock_is_datagram(sock))
            nd_datagram_bound(fd, sock, addr, len);
        else
            nd_sock_change(fd, sock, ND_SOCK_BOUND, 0);
    }
    return result;
}

ND_COLD static void note_listening(int fd, struct nd_sock *sock) {
    sock->profile = nd_profile_listening(fd);
    nd_sock_change(fd, sock, ND_SOCK_LISTENING, 0);
    if ((nd_sock_flags(sock) & ND_SOCK_INET) && !nd_observing)
        nd_keepalive_arm(fd, sock, nd_sock_keepalive_limits(sock));
}

int nd_hook_listen(int fd, int backlog) {
    struct nd_sock *sock = nd_active ? nd_sock_lookup(fd) : NULL;
    if (sock && (nd_sock_flags(sock) & ND_SOCK_RCVTIMEO))
        nd_kernel_timers_disarm(fd, sock); /* left by a connect that has failed */
    int result = nd_real.listen(fd, backlog);
    if (result == 0 && sock && (nd_sock_flags(sock) & ND_SOCK_KNOWN))
        note_listening(fd, sock);
    return result;
}
