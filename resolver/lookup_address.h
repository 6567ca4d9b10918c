/* Looks up the name of an address in the sources that nsswitch.conf lists. */
#pragma once

#include "resolver/lookup_name.h"

/* *family becomes AF_INET where DNS was asked for an IPv4-mapped or IPv4-compatible address. `host` must be freshly
 * initialized; its status is that of the last source. */
void nd_lookup_address(struct nd_host *host, struct nd_config *config, const void *address, int *family,
                       struct nd_lookup *lookup);
