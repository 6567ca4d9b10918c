/* A close with SO_LINGER, which may wait until everything has been acknowledged: bounded by SEND and UNACKED. Everything here is
 * async-signal-safe and keeps errno. */
#ifndef ND_CALL_LINGER_H
#define ND_CALL_LINGER_H

#include <stdbool.h>
#include <sys/socket.h>

#include "shim/limit/expiry.h"
#include "shim/socket/record.h"

/* A close that may wait, and for how long at most. */
struct nd_lingering {
    nd_time began, bound; /* 0: it is the program's own time that bounds it */
    int own;              /* the program's own, in seconds */
    struct nd_expiry expiry;
    struct sockaddr_storage peer;
};

/* `fd` is about to be closed: by close, fclose, dup2 or dup3. */
void nd_linger_begin(int fd, const struct nd_sock *sock, struct nd_lingering *lingering);

/* It has been closed; tells if the limit ended the wait. */
void nd_linger_report(int fd, struct nd_lingering *lingering);
static inline void nd_linger_end(int fd, struct nd_lingering *lingering) {
    if (__builtin_expect(lingering->bound != 0, 0))
        nd_linger_report(fd, lingering);
}

/* It has not: what nd_linger_begin did is undone. */
void nd_linger_undo(int fd, const struct nd_lingering *lingering);

/* Forgets `fd`, and what it was to others. */
void nd_close_clear(int fd);

/* Whether a descriptor with these flags is closed by a child of vfork, in memory that it shares with its parent, whose sockets
 * stay open: what is known of them is to stay. */
bool nd_linger_is_parents(uint32_t flags);

#endif
