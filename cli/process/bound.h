/* Which limit is the first to end a wait, and when, if nothing more moves: by the record that the library in the
 * process has of the socket, the kernel's answer, and the limits in nd_settings and nd_profiles. How long each limit
 * has run is decided by the library's own functions (shim/limit/elapsed.h, send_space.h). Pure: the clock is the
 * caller's. */
#pragma once

#include "cli/process/connections.h"
#include "shim/limit/wait_clock.h"
#include "shim/report/operations.h"

/* The first limit to end a wait. */
struct bound {
    enum nd_limit limit; /* ND_LIMIT_NONE: there is none, or `is_operation` */
    bool is_operation;   /* it is that of the TLS operation in the record */
    nd_time timeout;     /* as set; of MIN_RATE the window */
    uint64_t bytes;      /* of MIN_RATE */
    nd_time at;          /* when it fires; ND_NEVER where there is none, or that is not known */
};

/* A wait for one socket that is under way, by itself or with others in a set. */
struct bound_wait {
    struct nd_sock *sock;                /* its clocks have run until `now` */
    const struct connection *connection; /* NULL where the kernel's answer is not known, or there is none */
    short wants;                         /* events of poll(2) */
    bool alone;                          /* it is the only connection of the wait */
    bool has_streams;                    /* there are connected streams in the set */
    nd_time now;
};

/* The wait in poll, select or epoll. */
struct bound bound_polled(const struct bound_wait *wait);

/* That in a receiving call that began at `began`. */
struct bound bound_received(const struct bound_wait *wait, nd_time began);

/* That in accept, or in connect. */
struct bound bound_accepted(const struct bound_wait *wait);
struct bound bound_connected(const struct bound_wait *wait);

/* The TLS operation of several calls that is under way. */
struct bound bound_operation(const struct nd_sock *sock);

/* What ends a wait besides the limit of the call itself: IDLE, LIFETIME, MIN_RATE, UNACKED where it is for input, and
 * KEEPALIVE. */
struct bound bound_besides(const struct bound_wait *wait);

/* What ends the wait of a call that the library does not watch: in a set (UNACKED and KEEPALIVE), or one that was made
 * past it (the kernel's timers). */
struct bound bound_unwatched(const struct bound_wait *wait);
struct bound bound_unseen(const struct bound_wait *wait);

/* The earlier of both. */
static inline struct bound bound_sooner(struct bound a, struct bound b) {
    return b.at < a.at ? b : a;
}
