/* An expiry, as it is reported; and what was done in place of one. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "shim/report/expiry_count.h"

/* An expiry. It is described before the connection is ended: afterwards the kernel no longer knows the peer. */
struct nd_event {
    const char *operation;       /* the call: "connect", "recv", "poll", "SSL_shutdown", "getaddrinfo" */
    const char *limit;           /* the setting that fired, without prefix: "RECV", "INBOUND_SEND" */
    nd_time timeout;             /* its value */
    nd_time elapsed;             /* how long the operation had lasted */
    int fd;                      /* -1 where there is none */
    const char *name;            /* the name that was looked up, or NULL */
    const struct sockaddr *peer; /* or NULL */
    socklen_t peer_len;
    unsigned in_a_row;       /* of a lookup: how many of this name have expired, one after the other */
    bool observed;           /* MODE=observe: nothing was ended */
    bool stale;              /* no expiry: a lookup has given an answer from before */
    nd_time age;             /* of that answer */
    struct nd_set_where set; /* the limit */
};
