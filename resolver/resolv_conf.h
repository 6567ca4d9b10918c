/* /etc/resolv.conf with LOCALDOMAIN and RES_OPTIONS, interpreted as glibc does. */
#ifndef ND_RESOLVER_RESOLV_CONF_H
#define ND_RESOLVER_RESOLV_CONF_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ND_MAX_SERVERS 3 /* glibc's MAXNS */

union nd_server {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct nd_resolv_conf {
    union nd_server servers[ND_MAX_SERVERS];
    int server_count;
    char **search; /* NULL-terminated */
    size_t search_count;
    int ndots, timeout_s, attempts;
    bool rotate, use_vc, edns0, trust_ad, no_aaaa, no_tld_query, single_request, single_request_reopen, dnssec;
    bool no_recurse, ignore_truncation, no_search, no_default_domain; /* set only from a struct __res_state */
    const char *libc_why; /* static text: the setting that only libc can follow; else NULL */
    uint32_t version;     /* another one after each change of the file; 0: not made from the file */
    int references;
};

/* Returns the current configuration, released with nd_resolv_conf_put. NULL: out of memory. Keeps errno. */
struct nd_resolv_conf *nd_resolv_conf_get(void);
void nd_resolv_conf_put(struct nd_resolv_conf *conf);

/* Parses `text`. `localdomain` and `res_options` are the values of the environment variables and may be NULL;
 * `hostname` gives the default domain where no line sets one. The caller owns the result (nd_resolv_conf_put). */
struct nd_resolv_conf *nd_resolv_conf_parse(const char *text, size_t size, const char *localdomain,
                                            const char *res_options, const char *hostname);

#endif
