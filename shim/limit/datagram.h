/* What datagram sockets are for. Nobody but us notes which way the last one went, and who spoke first: a client's socket waits
 * for answers, which RECV bounds, a server's for strangers, which nothing bounds (nd_sock_recv_limit). Everything here is
 * async-signal-safe. */
#ifndef ND_LIMIT_DATAGRAM_H
#define ND_LIMIT_DATAGRAM_H

#include <stdbool.h>
#include <sys/socket.h>

#include "shim/socket/record.h"

/* The program has bound it: to a port of its choice others may know it by, with a port of the kernel's choice whoever speaks first
 * says whether it is a client's. Keeps errno. */
void nd_datagram_bound(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len);

/* The program has connected it, and what comes is from there; or has dissolved that (AF_UNSPEC). Keeps errno. */
void nd_datagram_connected(int fd, struct nd_sock *sock, bool connected);

/* One went out, to where the call said, or NULL. Keeps errno. */
void nd_datagram_sent(int fd, struct nd_sock *sock, const void *to, socklen_t len);

/* Who owes a reply, where the kernel does not know; else NULL. */
static inline const struct sockaddr *nd_datagram_peer(const struct nd_sock *sock) {
    const uint32_t flags = nd_sock_flags(sock);
    return (flags & ND_SOCK_SENT_LAST) && !(flags & ND_SOCK_CONNECTED) ? (const struct sockaddr *)&sock->peer : NULL;
}

/* A receiving call has given one, or an error of the socket that stands for one. */
void nd_datagram_received(int fd, struct nd_sock *sock);

#endif
