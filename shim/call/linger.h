/* A close with SO_LINGER, which may wait until everything has been acknowledged: bounded by SEND and UNACKED.
 * Everything here is async-signal-safe and keeps errno. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "base/frame.h"
#include "shim/limit/expiry.h"
#include "shim/report/slots.h"
#include "shim/socket/record.h"

/* A close that may wait, and how long at most. */
struct nd_lingering {
    nd_time began, bound; /* bound is 0 where the program's own time bounds the close */
    int own;              /* the program's own, in seconds */
    struct nd_expiry expiry;
    struct sockaddr_storage peer;
    struct nd_slot_use use;
};

/* `fd` is about to be closed, by close, fclose, dup2 or dup3, in the frame of the function that uses this. */
#define nd_linger_begin(fd, sock, lingering) nd_linger_begin_in(ND_FRAME_SLOT(), fd, sock, lingering)
void nd_linger_begin_in(const uintptr_t *frame, int fd, const struct nd_sock *sock, struct nd_lingering *lingering);

/* `fd` has been closed: reports an expiry if the limit ended the wait. */
void nd_linger_report(int fd, struct nd_lingering *lingering);
static inline void nd_linger_end(int fd, struct nd_lingering *lingering) {
    if (__builtin_expect(lingering->bound != 0, 0))
        nd_linger_report(fd, lingering);
}

/* `fd` has not been closed: undoes nd_linger_begin. */
void nd_linger_undo(int fd, struct nd_lingering *lingering);

/* Clears the record of `fd`, its TLS operation and its places in epoll sets. */
void nd_close_clear(int fd);
