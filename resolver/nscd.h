/* The name service cache daemon, which libc asks before any source: it has answers of its own (NixOS has every source
 * behind it), and what it has cached is given although the servers are gone. */
#pragma once

#include "resolver/host.h"
#include "resolver/resolver.h"

/* Each asks the daemon, and fills `host` with its answer, ND_SUCCESS or ND_NOTFOUND. False: libc would not ask it, it
 * is not there, or says nothing in a third of the time that is left; it is then not asked for a hundred lookups. `host`
 * must be freshly initialized, and is then so again. */

/* As gethostbyname2 does. */
bool nd_nscd_name(struct nd_host *host, const char *name, int family, struct nd_lookup *lookup);

/* As getaddrinfo does, for both families at once. */
bool nd_nscd_addresses(struct nd_host *host, const char *name, struct nd_lookup *lookup);

/* As gethostbyaddr does. */
bool nd_nscd_address(struct nd_host *host, const void *address, int family, struct nd_lookup *lookup);
