/* What is reported of a connect that CONNECT or ESTABLISH has ended. */
#pragma once

#include "shim/limit/expiry.h"

/* The expiry at `now` of a connect that began at `began`. Under ESTABLISH the time counts from the lookup. `peer` is
 * used, not copied. Async-signal-safe. */
struct nd_expiry nd_connect_expiry(const struct nd_sock *sock, nd_time began, nd_time now, const struct sockaddr *peer,
                                   socklen_t peer_len);
