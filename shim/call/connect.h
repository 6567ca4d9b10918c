/* connect under CONNECT, and sends that connect (MSG_FASTOPEN). A blocking connect is bounded by SO_SNDTIMEO for the
 * duration of the call; a non-blocking one by a clock that poll, select and epoll check (wait/set.h), and by TCP_SYNCNT
 * for waits that no hook sees. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "shim/socket/record.h"

/* connect(2), bounded. Async-signal-safe; keeps errno on success. */
int nd_connect(int fd, const struct sockaddr *addr, socklen_t len);

typedef ssize_t nd_connecting_send(const void *call);

/* A send with an address on a stream that is not connected: the kernel connects it first. Makes the real call,
 * send(call), with CONNECT bounding the connection attempt: the call itself where it may wait (`wait`), else the waits
 * after it. Without a Fast Open cookie of the server's the kernel sends no data in a non-blocking call (EINPROGRESS).
 * An interrupted call fails with EINTR even where the handler has SA_RESTART. Async-signal-safe. */
ssize_t nd_connect_by_send(int fd, const struct sockaddr *addr, socklen_t len, bool wait, nd_connecting_send *send,
                           const void *call);

/* The same for the first send on a stream whose connect the kernel has deferred (sock->deferred). */
ssize_t nd_connect_deferred(int fd, struct nd_sock *sock, bool wait, nd_connecting_send *send, const void *call);

/* Called before a call in `direction` on a stream whose connect is pending. A call that may wait waits for the
 * connection, under CONNECT. Returns whether it goes on; else it fails with errno. Async-signal-safe. */
bool nd_connect_await(int fd, struct nd_sock *sock, enum nd_direction direction);
