/* RFC 6724's comparison of two destinations, as glibc makes it. Pure. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

union nd_socket_address {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Addresses that begin with these bits; IPv4 addresses are compared as mapped ones. */
struct nd_prefix {
    uint8_t bytes[16];
    unsigned bits;
    int value;
};

/* The value of an address is that of the first prefix it begins with; each table ends with one that fits every address
 * (in `scopes`, which is for IPv4 only, every mapped one). */
struct nd_sort_tables {
    const struct nd_prefix *labels, *precedences, *scopes;
};

/* The tables that are built into glibc. */
extern const struct nd_sort_tables nd_sort_tables;

/* A destination and the source address that the kernel would choose for it. */
struct nd_destination {
    const struct sockaddr *address;
    union nd_socket_address source;
    bool has_source, deprecated, home, native;
    uint8_t prefix_length;
    uint32_t index; /* of the source's interface; UINT32_MAX: unknown */
};

/* Returns below 0 where `a` goes first, 0 where their order stays. Sets *native_matters where rule 7 was reached. */
int nd_compare_destinations(const struct nd_destination *a, const struct nd_destination *b,
                            const struct nd_sort_tables *tables, bool *native_matters);
