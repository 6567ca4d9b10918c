/* /etc/resolv.conf with LOCALDOMAIN and RES_OPTIONS, interpreted as glibc does. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/sortlist.h"

#define ND_MAX_SERVERS 3 /* glibc's MAXNS */

struct __res_state;

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
    struct nd_sortlist sortlist;
    int ndots, timeout_s, attempts;
    bool inet6;      /* gethostbyname gives IPv6 addresses; before glibc 2.30 only, with libc_why set */
    bool of_program; /* made from a struct __res_state with servers or domains that the file does not have */
    bool no_reload;  /* a thread that has once read the file does not notice that it changes */
    bool rotate, use_vc, edns0, trust_ad, no_aaaa, no_tld_query, single_request, single_request_reopen, dnssec;
    bool no_recurse, ignore_truncation, no_search, no_default_domain; /* set only from a struct __res_state */
    struct __res_state *keeper; /* the state that keeps a connection to the first server, or NULL */
    const char *libc_why;       /* static text: the setting that only libc can follow; else NULL */
    uint32_t version;           /* of the file when this was made: another one after each change; 0: unknown */
    int references;
};

/* Returns the current configuration, released with nd_resolv_conf_put. NULL: out of memory. Keeps errno. */
struct nd_resolv_conf *nd_resolv_conf_get(void);
void nd_resolv_conf_put(struct nd_resolv_conf *conf);

/* Returns the version of the file that was read `age` changes ago, released with nd_resolv_conf_put; 0 is the newest.
 * NULL: it is not remembered. */
#define ND_RESOLV_CONF_VERSIONS 4
struct nd_resolv_conf *nd_resolv_conf_version(unsigned age);

/* Whether both have the same servers, search list and sortlist. */
bool nd_resolv_conf_same(const struct nd_resolv_conf *a, const struct nd_resolv_conf *b);

/* Replaces the search list by copies. False: out of memory. */
bool nd_resolv_conf_set_search(struct nd_resolv_conf *conf, char *const *domains, size_t count);

/* Parses `text`. `localdomain` and `res_options` are the values of the environment variables and may be NULL;
 * `hostname` gives the default domain where no line sets one. The caller owns the result (nd_resolv_conf_put). */
struct nd_resolv_conf *nd_resolv_conf_parse(const char *text, size_t size, const char *localdomain,
                                            const char *res_options, const char *hostname);
