/* Waiting for one descriptor: the one loop that every blocking call on a socket waits in. The caller says what it waits for and what
 * bounds it. Async-signal-safe; a cancellation point, as the call that waits. */
#ifndef ND_WAIT_WAIT_H
#define ND_WAIT_WAIT_H

#include <errno.h>
#include <stdbool.h>

#include "shim/limit/connection_limits.h"
#include "shim/report/slot.h"

/* How a wait ended. */
enum nd_waited {
    ND_READY,        /* what was waited for is there, or the call itself is to say what is wrong */
    ND_ENDED_STREAM, /* the same, after a hang-up. POLLERR alone may be a message in the error queue */
    ND_OWN_TIMEOUT,  /* the program's own timeout is over; errno EAGAIN */
    ND_INTERRUPTED,  /* a signal handler ran, and the program sees the interruption; errno EINTR */
    ND_EXPIRED,      /* a limit fired: wait->expiry says which; nothing has been ended yet */
    ND_REPLACED,     /* the descriptor was closed, and perhaps given to another file; errno EBADF */
    ND_UNPOLLABLE /* the kernel refuses to wait for it, or to tell how long (a filter): the real call is to be made, unbounded */
};

/* One call that waits. The caller fills in what stands above `hold`. */
struct nd_wait {
    int fd;
    struct nd_sock *sock;
    short events;             /* of poll(2) */
    bool moved;               /* bytes have moved in this call: an interruption ends it, as it would without us */
    bool shows_interruptions; /* the program sees each, whatever its handlers say: it has set a timeout of its own */
    nd_time own;              /* when its own timeout ends the call; ND_NEVER; -1 where that is not known */
    /* Whether a limit has fired at `now`: fills wait->expiry. Else lowers *next to when it is to be asked again. NULL: nothing
     * bounds the wait but the limits on the whole connection. */
    bool (*fired)(struct nd_wait *wait, nd_time now, nd_time *next);
    struct nd_sock_hold hold; /* nd_wait_begin's */
    unsigned fruitless;       /* waits that found it ready, since bytes moved last */
    enum nd_waited how;       /* the last wait */
    struct nd_expiry expiry;  /* without the operation */
};

/* Takes hold of the descriptor: while the call waits another thread may close it, and the number be given to another file. */
static inline void nd_wait_begin(struct nd_wait *wait) {
    wait->hold = nd_sock_take(wait->fd, wait->sock);
    wait->fruitless = 0;
    wait->how = ND_READY;
}

/* Waits until the descriptor is ready, a limit fires, the program's own timeout is over, or a handler interrupts the call. It goes on
 * over interruptions that the program would not have seen. When a limit on input fires, bytes that have come meanwhile win: this
 * process may have been stopped. Errno undefined where the result does not say. */
enum nd_waited nd_wait_for(struct nd_wait *wait);

/* Bytes have moved, or the state has changed, since the last wait. Without this the wait after a fruitless attempt sleeps 10 ms, since
 * poll may call a socket ready that then takes nothing (memory pressure; a SEQPACKET message larger than the free space). */
static inline void nd_wait_progress(struct nd_wait *wait) {
    wait->fruitless = 0;
}

/* How the slot of a call that waited is to be counted. */
static inline enum nd_slot_end nd_wait_outcome(enum nd_waited how) {
    return how == ND_EXPIRED ? ND_SLOT_EXPIRED : how == ND_OWN_TIMEOUT ? ND_SLOT_QUIET : ND_SLOT_DONE;
}

/* Whether the call that gave `result`, and errno, would have waited, or has waited for as long as the kernel was told to. */
static inline bool nd_would_block(long result) {
    return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Whether a call that the kernel timed came back without a result (EAGAIN at the timer's end, EINTR) and may have to go on. */
static inline bool nd_came_back(long result) {
    return result < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK);
}

/* True if the descriptor is in non-blocking mode now; asks the kernel. Keeps errno. */
bool nd_nonblocking(int fd);

#endif
