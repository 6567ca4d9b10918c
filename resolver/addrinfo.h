/* Lists of struct addrinfo laid out as glibc's, and the socket types and ports that each address gets. */
#pragma once

#include <netdb.h>
#include <stdbool.h>

#include "resolver/host.h"

#define ND_MAX_TYPES 10

/* One combination of socket type, protocol and port. */
struct nd_type {
    int socktype, protocol;
    in_port_t port; /* network byte order */
};

/* Whether all of `service` is a decimal number as strtoul(3) reads it. Most are a few digits and nothing else. */
bool nd_service_number(const char *service, unsigned long *number);

/* Finds the combinations for `service` (NULL: port 0) and `hints`, in glibc's order. Returns their number or an EAI_
 * code. */
int nd_service_types(struct nd_type types[ND_MAX_TYPES], const char *service, const struct addrinfo *hints);

/* Makes one node for each address and type, in this order. `canonical` may be NULL; otherwise it is copied to the first
 * node. Returns 0 or EAI_MEMORY. */
int nd_make_list(struct addrinfo **list, const struct nd_address *addresses, size_t count, const struct nd_type *types,
                 int type_count, int flags, const char *canonical);

/* Frees what nd_make_list made, or NULL. A program frees its lists by libc's freeaddrinfo. */
void nd_free_list(struct addrinfo *list);
