/* The role of a datagram socket. A client's socket waits for replies, which RECV bounds; a server's waits for requests,
 * which nothing bounds (nd_sock_recv_limit). The kernel does not record in which direction the last datagram went, nor
 * which side sent first; these functions do. Everything here is async-signal-safe. */
#pragma once

#include <sys/socket.h>

#include "shim/socket/record.h"

/* Called when the program has bound the socket. A port of its own choice makes it a server's; with a port of the
 * kernel's choice the side that sends first decides. Keeps errno. */
void nd_datagram_bound(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len);

/* Called when the program has connected the socket, so that it receives from that peer only, or disconnected it
 * (AF_UNSPEC). Keeps errno. */
void nd_datagram_connected(int fd, struct nd_sock *sock, bool connected);

/* Called when a datagram was sent to the address `to` of the call, or NULL. Keeps errno. */
void nd_datagram_sent(int fd, struct nd_sock *sock, const void *to, socklen_t len);

/* Returns the peer whose reply is pending where the kernel does not know it; else NULL. */
static inline const struct sockaddr *nd_datagram_peer(const struct nd_sock *sock) {
    const uint32_t flags = nd_sock_flags(sock);
    return (flags & ND_SOCK_SENT_LAST) && !(flags & ND_SOCK_CONNECTED) ? (const struct sockaddr *)&sock->peer : NULL;
}

/* Called when a receiving call has returned a datagram, or an error of the socket in place of one. */
void nd_datagram_received(int fd, struct nd_sock *sock);
