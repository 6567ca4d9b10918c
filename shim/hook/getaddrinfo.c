/* getaddrinfo, getnameinfo: c-ares makes the lookup in place of libc, under one absolute deadline. Where the host's
 * configuration has a source that only libc can use, libc makes it in a helper thread, for which the caller waits until
 * the deadline; the same where another library behind this one has functions of these names, since names are then its
 * business. */
#include "resolver/helper_others.h"
#include "shim/call/lookup.h"
#include "shim/hook/hook.h"
#include "shim/next.h"

ND_COLD static int look_up(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res) {
    struct nd_lookup_use use;
    struct nd_lookup lookup = nd_lookup_begin(&use, ND_OPERATION_getaddrinfo, node);
    nd_lookup_to_connect(&use, &lookup, hints ? hints->ai_family : AF_UNSPEC);
    char canonical[NI_MAXHOST];
    canonical[0] = '\0';
    if (nd_lookup_results_wanted())
        lookup.canonical = canonical;
    int result;
    if (nd_next_is(getaddrinfo))
        result = nd_others_getaddrinfo(nd_real.getaddrinfo, nd_next_freeaddrinfo, node, service, hints, res, &lookup);
    else
        result = nd_getaddrinfo(node, service, hints, res, &lookup);
    if (result == ND_LOOKUP_LIBC)
        result = nd_helper_getaddrinfo(nd_real.getaddrinfo, node, service, hints, res, &lookup);
    nd_lookup_end(&use, node, &lookup);
    if (result == 0)
        nd_lookup_found(&use, node, canonical, *res);
    nd_lookup_set_h_errno(&lookup);
    return nd_lookup_code(&lookup, result);
}

int nd_hook_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res) {
    if (nd_lookup_to_connect_is_bounded(node))
        return look_up(node, service, hints, res);
    int result = nd_lookup_by_libc(ND_OPERATION_getaddrinfo, node, nd_real.getaddrinfo(node, service, hints, res));
    if (result == 0)
        nd_lookup_found(NULL, node, NULL, *res);
    return result;
}

ND_COLD static int look_up_address(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size,
                                   char *service, socklen_t service_size, int flags) {
    struct nd_lookup_use use;
    struct nd_lookup lookup = nd_lookup_begin(&use, ND_OPERATION_getnameinfo, NULL);
    int result = ND_LOOKUP_LIBC;
    if (!nd_next_is(getnameinfo))
        result = nd_getnameinfo(address, length, host, host_size, service, service_size, flags, &lookup);
    if (result == ND_LOOKUP_LIBC)
        result = nd_helper_getnameinfo(nd_real.getnameinfo, address, length, host, host_size, service, service_size,
                                       flags, &lookup);
    nd_lookup_end(&use, NULL, &lookup);
    nd_lookup_set_h_errno(&lookup);
    return nd_lookup_code(&lookup, result);
}

int nd_hook_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size,
                        char *service, socklen_t service_size, int flags) {
    if (nd_lookup_is_bounded(NULL))
        return look_up_address(address, length, host, host_size, service, service_size, flags);
    return nd_lookup_by_libc(ND_OPERATION_getnameinfo, NULL,
                             nd_real.getnameinfo(address, length, host, host_size, service, service_size, flags));
}
