/* connect under CONNECT, and sends that connect (MSG_FASTOPEN). A blocking connect is bounded by SO_SNDTIMEO for the time of the call; a
 * non-blocking one starts a clock that the waits keep (wait/set.h), with TCP_SYNCNT behind it for waits that no hook sees. */
#ifndef ND_CALL_CONNECT_H
#define ND_CALL_CONNECT_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "shim/socket/record.h"

/* connect(2), bounded. Async-signal-safe; keeps errno on success. */
int nd_connect(int fd, const struct sockaddr *addr, socklen_t len);

typedef ssize_t nd_connecting_send(const void *call);

/* A send with an address on a stream that is not connected: the kernel connects it first. Makes the real call, send(call), and
 * puts CONNECT on the connecting: within the call where it may wait, for the waits after it where it may not. Without a cookie of
 * the server's the kernel sends no data in such a call that does not wait (EINPROGRESS). An interrupted one says so (EINTR) even
 * where the handler restarts. Async-signal-safe. */
ssize_t nd_connect_by_send(int fd, const struct sockaddr *addr, socklen_t len, bool wait, nd_connecting_send *send,
                           const void *call);

/* The same for the first send on a stream whose connect the kernel has deferred (sock->deferred). */
ssize_t nd_connect_deferred(int fd, struct nd_sock *sock, bool wait, nd_connecting_send *send, const void *call);

/* Called before a call in `direction` on a stream whose connect is pending. A call that may wait waits for the connection, under
 * CONNECT. Returns whether it goes on; else it fails with errno. Async-signal-safe. */
bool nd_connect_await(int fd, struct nd_sock *sock, enum nd_direction direction);

#endif
