/* The name of an address, from the sources that nsswitch lists. */
#ifndef ND_RESOLVER_LOOKUP_ADDRESS_H
#define ND_RESOLVER_LOOKUP_ADDRESS_H

#include "resolver/lookup_name.h"

/* `family` becomes AF_INET where DNS was asked for an IPv4 address in IPv6 clothes. Fills a freshly initialized `host`;
 * what the sources said last is its status. */
void nd_lookup_address(struct nd_host *host, struct nd_config *config, const void *address, int *family,
                       struct nd_lookup *lookup);

#endif
