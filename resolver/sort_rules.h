/* RFC 6724's comparison of two destinations, with the tables of glibc. Pure. */
#ifndef ND_RESOLVER_SORT_RULES_H
#define ND_RESOLVER_SORT_RULES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

union nd_socket_address {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* A destination and the source address that the kernel would choose for it. */
struct nd_destination {
    const struct sockaddr *address;
    union nd_socket_address source;
    bool has_source, deprecated, home, native;
    uint8_t prefix_length;
    uint32_t index; /* of the source's interface; UINT32_MAX: unknown */
};

/* Returns below 0 where `a` goes first, 0 where their order stays. Sets *native_matters where rule 7 was reached. */
int nd_compare_destinations(const struct nd_destination *a, const struct nd_destination *b, bool *native_matters);

#endif
