#include "shim/limit/connect_limit.h"

#include "shim/socket/limits.h"

struct nd_expiry nd_connect_expiry(const struct nd_sock *sock, nd_time began, nd_time now, const struct sockaddr *peer,
                                   socklen_t peer_len) {
    nd_time deadline;
    const enum nd_limit limit = nd_connect_bound(sock, began, &deadline);
    const bool establish = limit == ND_LIMIT_ESTABLISH;
    const nd_time since = establish && nd_establish_began(sock) ? nd_establish_began(sock) : began;
    return (struct nd_expiry){.operation = nd_operation_names[ND_OPERATION_connect],
                              .limit = nd_limit_names[limit],
                              .timeout = establish ? nd_sock_establish_limit(sock) : nd_sock_connect_limit(sock),
                              .elapsed = now - since,
                              .peer = peer,
                              .peer_len = peer_len};
}
