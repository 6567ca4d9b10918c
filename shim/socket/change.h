/* Changes to the record of a socket: its flags, and with them its watch bits. Everything here is async-signal-safe and
 * keeps errno. */
#pragma once

#include "shim/socket/record.h"

/* Starts a new record for a socket that was just created, with these flags; NULL without memory, and where `fd` is in
 * another process or table than the records (owner.h). */
struct nd_sock *nd_sock_created(int fd, uint32_t flags);

/* Sets and clears flags, and brings the watch bits of `fd` up to date. */
void nd_sock_change(int fd, struct nd_sock *sock, uint32_t set, uint32_t clear);

/* Begins and ends an operation whose deadline bounds every wait for the socket, by the watch bits that nd_sock_change
 * sets for it. */
void nd_sock_begin_operation(int fd, struct nd_sock *sock, const char *name, const char *limit, nd_time timeout);
void nd_sock_end_operation(int fd, struct nd_sock *sock);

/* What the waits are notified of that concerns a socket in an epoll set. wait/ registers its functions before the first
 * socket is put into a set; they are called for no other socket, and are async-signal-safe and keep errno. */
struct nd_sock_listener {
    /* A limit on waits holds for the socket that did not hold before. */
    void (*limited)(int fd, struct nd_sock *sock);
    /* The socket has a timeout that the next call on it must report (limit/pending_timeout.h). */
    void (*timeout_pending)(struct nd_sock *sock);
};
extern const struct nd_sock_listener *_Atomic nd_sock_listener __attribute__((visibility("hidden")));

/* How often io_uring instances were created and given work (wait/uring.h counts it); 0 while there is none. With one,
 * every wait for an epoll set is watched: the kernel may put sockets into the set without epoll_ctl. */
extern _Atomic uint32_t nd_sock_uring_changes __attribute__((visibility("hidden")));
