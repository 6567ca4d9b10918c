/* A host's name looked up in the sources that nsswitch lists, as glibc's getaddrinfo and gethostbyname do it. */
#ifndef ND_RESOLVER_LOOKUP_NAME_H
#define ND_RESOLVER_LOOKUP_NAME_H

#include "resolver/host.h"
#include "resolver/nsswitch.h"
#include "resolver/resolv_conf.h"
#include "resolver/resolver.h"

/* What a lookup goes by; got once for it. */
struct nd_config {
    struct nd_sources sources;
    struct nd_resolv_conf *resolv; /* NULL until DNS is asked */
    bool multi;                    /* host.conf's */
};

/* For `name` (NULL: for an address). 0, or ND_LOOKUP_LIBC with lookup->libc_why. A lookup below may still set libc_why,
 * when it is DNS's turn: nothing has been asked of it then. */
int nd_config_get(struct nd_config *config, const char *name, struct nd_lookup *lookup);
void nd_config_put(struct nd_config *config);

/* Have config->resolv. False: libc has to be asked, or host->no_memory. */
bool nd_config_get_resolv(struct nd_host *host, struct nd_config *config, struct nd_lookup *lookup);

/* How the name is asked for. */
enum nd_lookup_kind {
    ND_BOTH_FAMILIES,    /* gethostbyname4: AF_UNSPEC, both at once */
    ND_ONE_FAMILY,       /* gethostbyname2: the name must look like a host's */
    ND_ONE_FAMILY_CANON, /* gethostbyname3: any name */
};

/* Ask one source. Fills a freshly initialized `host`. */
void nd_ask_source(struct nd_host *host, struct nd_config *config, enum nd_source source, const char *name,
                   enum nd_lookup_kind kind, int family, struct nd_lookup *lookup);

/* Ask the sources in turn, until one has the name; else `host` is what the last one said. */
void nd_lookup_name(struct nd_host *host, struct nd_config *config, const char *name, enum nd_lookup_kind kind,
                    int family, struct nd_lookup *lookup);

#endif
