/* Looks up a host name in the sources that nsswitch.conf lists, as glibc's getaddrinfo and gethostbyname do. */
#pragma once

#include "resolver/host.h"
#include "resolver/nsswitch.h"
#include "resolver/resolv_conf.h"
#include "resolver/resolver.h"

/* The configuration of one lookup, read once for it. */
struct nd_config {
    struct nd_sources sources;
    struct nd_resolv_conf *resolv; /* NULL until DNS is asked */
    bool multi;                    /* host.conf's */
};

/* Reads the configuration for `name` (NULL: for an address). Returns 0, or ND_LOOKUP_LIBC with lookup->libc_why set.
 * The functions below may still set libc_why when they come to DNS, before any question is sent. */
int nd_config_get(struct nd_config *config, const char *name, struct nd_lookup *lookup);
void nd_config_put(struct nd_config *config);

/* Reads config->resolv where it is NULL. False: libc has to make the lookup, or host->no_memory is set. */
bool nd_config_get_resolv(struct nd_host *host, struct nd_config *config, struct nd_lookup *lookup);

/* Returns why only libc can search DNS for `name`: it has no dots, and the program may have an alias for it in the file
 * that HOSTALIASES names. NULL: it may not. Reads the environment only where libc does. */
const char *nd_host_aliases(const char *name);

/* Which of glibc's lookup functions is followed. */
enum nd_lookup_kind {
    ND_BOTH_FAMILIES,    /* gethostbyname4: AF_UNSPEC, both at once */
    ND_ONE_FAMILY,       /* gethostbyname2: only valid host names */
    ND_ONE_FAMILY_CANON, /* gethostbyname3: any name */
};

/* Asks one source. `host` must be freshly initialized. */
void nd_ask_source(struct nd_host *host, struct nd_config *config, enum nd_source source, const char *name,
                   enum nd_lookup_kind kind, int family, struct nd_lookup *lookup);

/* Asks the sources in turn until one has the name; otherwise `host` is the result of the last one, or lookup->libc_why
 * is set where libc has other sources to ask. */
void nd_lookup_name(struct nd_host *host, struct nd_config *config, const char *name, enum nd_lookup_kind kind,
                    int family, struct nd_lookup *lookup);
