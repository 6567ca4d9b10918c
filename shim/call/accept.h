/* accept and accept4, bounded by ACCEPT: the listener has no timer for it and is never ended. An accepted socket is
 * inbound, and gets the limits of inbound sockets here. */
#pragma once

#include <sys/socket.h>

#include "shim/report/slot.h"

/* The call as the program made it. */
struct nd_accept_call {
    enum nd_call operation; /* accept or accept4 */
    int fd;
    struct sockaddr *addr;
    socklen_t *len;
    int flags;
};

/* Makes the call. Async-signal-safe; keeps errno on success. */
int nd_accept(const struct nd_accept_call *call);
