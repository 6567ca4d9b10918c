/* Waiting for one descriptor: the loop that every blocking call on a socket waits in. The caller says which events it
 * waits for and what bounds the wait. Async-signal-safe; a cancellation point like the call that waits. */
#pragma once

#include <errno.h>
#include <stdbool.h>

#include "shim/limit/connection_limits.h"
#include "shim/report/slots.h"

/* How a wait ended. */
enum nd_waited {
    ND_READY,        /* an event is there, or an error that the call itself returns */
    ND_ENDED_STREAM, /* the same, with POLLHUP; POLLERR alone may be a message in the error queue */
    ND_OWN_TIMEOUT,  /* the program's own timeout has expired; errno EAGAIN */
    ND_INTERRUPTED,  /* a signal handler ran, and the program sees the interruption; errno EINTR */
    ND_EXPIRED,      /* a limit fired: wait->expiry says which; nothing has been ended yet */
    ND_WOKEN,        /* the command has changed the settings, and the call is to be made anew; errno ERESTART */
    ND_REPLACED,     /* the descriptor was closed, and perhaps given to another file; errno EBADF */
    ND_UNPOLLABLE    /* a seccomp filter refuses poll and select, or to tell the program's own timeout, or was installed
                        during the wait (the record is then cleared): the caller makes the real call, unbounded */
};

/* One call that waits. The caller fills in the members above `hold`. */
struct nd_wait {
    enum nd_call operation;
    int fd;
    struct nd_sock *sock;
    short events;             /* of poll(2) */
    bool moved;               /* the call has moved bytes: an interruption ends it, as it would end the plain call */
    bool anew;                /* the call is made anew where the settings change, instead of `renew` */
    bool shows_interruptions; /* with a timeout of the program's own the kernel ignores SA_RESTART */
    nd_time own;              /* when its own timeout ends the call; ND_NEVER; -1 where that is not known */
    nd_time deadline; /* when a limit fires that nothing restarts: `expiry` is what it is then. ND_NEVER or 0: none */
    /* Returns whether a limit has fired at `now`, and fills wait->expiry then; else sets *next to the time of the next
     * check. NULL: only the deadline, IDLE, LIFETIME and MIN_RATE bound the wait. */
    bool (*fired)(struct nd_wait *wait, nd_time now, nd_time *next);
    /* The settings have changed: brings what bounds the wait up to date. NULL where that is read anew each time. */
    void (*renew)(struct nd_wait *wait);
    struct nd_sock_hold hold; /* set by nd_wait_begin, as are the next four */
    uint32_t settings;        /* their generation */
    bool observed;            /* in MODE=observe: an expiry was reported */
    unsigned fruitless;       /* waits since bytes moved last */
    enum nd_waited how;       /* how the last wait ended */
    struct nd_expiry expiry;
};

/* Notes which file the descriptor is: while the call waits, another thread may close it and the number may be given to
 * another file. */
static inline void nd_wait_begin(struct nd_wait *wait) {
    wait->hold = nd_sock_take(wait->fd, wait->sock);
    wait->settings = wait->sock->settings;
    wait->observed = false;
    wait->fruitless = 0;
    wait->how = ND_READY;
}

/* Waits until the descriptor is ready, a limit fires, the program's own timeout expires, or a signal handler interrupts
 * the call. It continues after an interruption that the plain call would not have returned. When a limit fires in a
 * wait for input and bytes are there, the result is ND_READY: this process may have been stopped meanwhile. Errno is
 * set as the result says, else undefined. */
enum nd_waited nd_wait_for(struct nd_wait *wait);

/* Bytes have moved, or the state has changed, since the last wait. Without this a wait after a fruitless attempt sleeps
 * 10 ms first: poll may report a socket writable that accepts nothing (memory pressure; a SEQPACKET message larger than
 * the free space). */
static inline void nd_wait_progress(struct nd_wait *wait) {
    wait->fruitless = 0;
}

/* How the slot of a call that waited is counted. `result` and errno are what the program gets: ETIMEDOUT where a timer
 * of the kernel's or another call's expiry has ended the stream. */
static inline enum nd_slot_end nd_wait_outcome(enum nd_waited how, long result) {
    if (how == ND_EXPIRED || (result < 0 && errno == ETIMEDOUT))
        return ND_SLOT_EXPIRED;
    if (how == ND_WOKEN)
        return ND_SLOT_UNCOUNTED;
    return how == ND_OWN_TIMEOUT && result < 0 ? ND_SLOT_QUIET : ND_SLOT_DONE;
}

/* Whether a call failed with EAGAIN: it would have waited, or has waited until SO_RCVTIMEO or SO_SNDTIMEO expired. */
static inline bool nd_would_block(long result) {
    return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Whether the command has woken a call, which is to be made anew under the settings that hold now. No system call fails
 * with ERESTART. Keeps errno. */
static inline bool nd_starts_over(long result) {
    return __builtin_expect(result < 0, 0) && (errno == ERESTART || (errno == EINTR && nd_slots_woken()));
}

/* Returns `result`. A call that succeeds keeps errno, `saved`, whatever waits it made. */
static inline long nd_keep_errno(long result, int saved) {
    if (result >= 0)
        errno = saved;
    return result;
}

/* Whether the descriptor is in non-blocking mode now, asked from the kernel. Keeps errno. */
bool nd_nonblocking(int fd);
