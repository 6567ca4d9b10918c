/* accept, accept4: an accepted socket is inbound, and gets the limits of that side at its birth. */
#include <errno.h>

#include "shim/discover.h"
#include "shim/hook.h"
#include "shim/sockets.h"
#include "shim/start.h"
#include "shim/timers.h"

ND_COLD static void accepted(int listener, int fd, int flags) {
    int saved = errno;
    nd_live_check();
    const struct nd_sock *from = nd_sock_peek(listener);
    const uint32_t kind = ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_LOCAL | ND_SOCK_LINGER;
    struct nd_sock *sock;
    if (from && (nd_sock_flags(from) & ND_SOCK_KNOWN))
        sock = nd_sock_born(fd, (nd_sock_flags(from) & kind) | (flags & SOCK_NONBLOCK ? ND_SOCK_NONBLOCK : 0));
    else
        sock = nd_sock_discover(fd);
    if (sock) {
        if (nd_rules.has_inbound)
            sock->profile = nd_profile_from(fd);
        nd_sock_change(fd, sock, ND_SOCK_CONNECTED | ND_SOCK_INBOUND, 0);
        nd_timers_arm(fd, sock);
    }
    errno = saved;
}

int nd_hook_accept(int fd, struct sockaddr *addr, socklen_t *len) {
    int made = nd_real.accept(fd, addr, len);
    if (made >= 0 && nd_active)
        accepted(fd, made, 0);
    return made;
}

int nd_hook_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags) {
    int made = nd_real.accept4(fd, addr, len, flags);
    if (made >= 0 && nd_active)
        accepted(fd, made, flags);
    return made;
}
