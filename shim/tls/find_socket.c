#include "shim/tls/find_socket.h"

#include "shim/socket/change.h"

_Atomic int nd_tls_socket_slots[1 << ND_TLS_SOCKET_BITS]; /* pages that are never written cost nothing */

void nd_tls_socket_mark_candidates(void) {
    const uint32_t kind = ND_SOCK_KNOWN | ND_SOCK_STREAM | ND_SOCK_INET;
    for (int fd = 0; fd <= nd_sock_highest(); fd++) {
        struct nd_sock *sock = nd_sock_lookup(fd);
        uint32_t flags = sock ? nd_sock_flags(sock) : 0;
        if ((flags & kind) == kind && (flags & (ND_SOCK_CONNECTED | ND_SOCK_CONNECTING)) &&
            (!sock->tls || (flags & ND_SOCK_TLS_OWN)))
            nd_sock_change(fd, sock, ND_SOCK_TLS_CANDIDATE, 0);
    }
}

void nd_tls_socket_found(const void *object, int fd, struct nd_sock *sock) {
    struct nd_sock *known;
    if (nd_tls_socket_of(object, &known) == fd)
        return;
    sock->tls = object;
    *nd_tls_socket_slot(object) = fd + 1;
}
