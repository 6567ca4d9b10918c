/* The order of addresses: RFC 6724's rules as glibc applies them, with the tables of /etc/gai.conf. */
#pragma once

#include <netdb.h>

#include "resolver/interfaces.h"

/* Sorts the list (ai_canonname moves to the new head). `interfaces` may be NULL: they are read when needed. The list is
 * unchanged where there is no memory for sorting. Keeps errno. */
void nd_sort_addresses(struct addrinfo **list, const struct nd_interfaces *interfaces, nd_time deadline);
