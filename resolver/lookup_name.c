#include "resolver/lookup_name.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "resolver/dns_answer.h"
#include "resolver/host_conf.h"
#include "resolver/hosts.h"
#include "resolver/libc_version.h"
#include "resolver/nscd.h"
#include "resolver/res_state.h"
#include "resolver/stale.h"

int nd_config_get(struct nd_config *config, const char *name, struct nd_lookup *lookup) {
    *config = (struct nd_config){0};
    nd_signals_block(lookup);
    const char *why = nd_nsswitch_hosts(&config->sources, name);
    if (!why)
        why = nd_host_conf(&config->multi);
    lookup->libc_why = why;
    return why ? ND_LOOKUP_LIBC : 0;
}

/* resolv.conf is not read for a name that the hosts file has. */
bool nd_config_get_resolv(struct nd_host *host, struct nd_config *config, struct nd_lookup *lookup) {
    if (!config->resolv)
        config->resolv = nd_conf_for_lookup();
    if (!config->resolv) {
        host->no_memory = true;
        return false;
    }
    lookup->libc_why = config->resolv->libc_why;
    return !lookup->libc_why;
}

const char *nd_host_aliases(const char *name) {
    return !strchr(name, '.') && getenv("HOSTALIASES") ? "HOSTALIASES is set" : NULL;
}

void nd_config_put(struct nd_config *config) {
    nd_resolv_conf_put(config->resolv);
    config->resolv = NULL;
}

/* Sets the status from h_errno and errno of a search without an answer, as nss_dns does. */
static void set_failure(struct nd_host *host, const struct nd_search *s) {
    host->h_err = s->h_err;
    switch (s->error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        host->h_err = NETDB_INTERNAL;
        host->sys_err = s->error;
        host->status = ND_UNAVAIL;
        break;
    case ECONNREFUSED:
    case ETIMEDOUT:
        host->status = ND_UNAVAIL;
        break;
    default:
        host->status = ND_NOTFOUND;
    }
    if (host->h_err == TRY_AGAIN)
        host->sys_err = EAGAIN;
}

static void from_dns(struct nd_host *host, struct nd_config *config, const char *name, enum nd_lookup_kind kind,
                     int family, struct nd_lookup *lookup) {
    if (!nd_config_get_resolv(host, config, lookup))
        return;
    struct nd_search s = {.conf = config->resolv, .lookup = lookup, .dns_class = 1, .edns_size = 65535};
    bool both = kind == ND_BOTH_FAMILIES && !config->resolv->no_aaaa;
    s.type = both ? ND_TYPE_A_AND_AAAA : family == AF_INET6 ? ND_TYPE_AAAA : ND_TYPE_A;
    if (kind != ND_ONE_FAMILY_CANON && nd_libc_checks_names() && !nd_text_is_host(name)) {
        host->status = ND_NOTFOUND;
        host->h_err = HOST_NOT_FOUND;
        return;
    }
    lookup->libc_why = nd_host_aliases(name);
    if (lookup->libc_why)
        return;
    bool answered = nd_search_or_stale(&s, name);
    h_errno = s.h_err; /* libc's search leaves it so, whatever function has called it */
    if (!answered)
        set_failure(host, &s);
    else if (kind == ND_BOTH_FAMILIES)
        nd_answer_both(host, &s.ask.answers[0], &s.ask.answers[1]);
    else
        nd_answer_one(host, &s.ask.answers[0], family);
    if (!both && family == AF_INET)
        nd_sortlist_apply(&config->resolv->sortlist, host);
    nd_ask_free(&s.ask);
}

/* As libc did once: the first line with an IPv6 address, and the first one with an IPv4 address. */
static void from_files_in_turn(struct nd_host *host, const char *name, bool multi) {
    struct nd_host v4;
    nd_host_init(&v4);
    nd_hosts_by_name(host, name, AF_INET6, multi);
    nd_hosts_by_name(&v4, name, AF_INET, multi);
    for (size_t i = 0; i < v4.count; i++)
        nd_host_add_address(host, AF_INET, v4.addresses[i].bytes);
    if (host->status != ND_SUCCESS) {
        host->status = v4.status;
        host->h_err = v4.h_err;
        host->sys_err = v4.sys_err;
        if (v4.canonical)
            nd_host_set_canonical(host, v4.canonical, strlen(v4.canonical));
    }
    host->no_memory |= v4.no_memory;
    nd_host_free(&v4);
}

void nd_ask_source(struct nd_host *host, struct nd_config *config, enum nd_source source, const char *name,
                   enum nd_lookup_kind kind, int family, struct nd_lookup *lookup) {
    if (kind == ND_BOTH_FAMILIES)
        family = AF_UNSPEC;
    if (source == ND_SOURCE_FILES && kind == ND_BOTH_FAMILIES && !nd_libc_asks_both_at_once())
        from_files_in_turn(host, name, config->multi);
    else if (source == ND_SOURCE_FILES)
        nd_hosts_by_name(host, name, family, config->multi);
    else
        from_dns(host, config, name, kind, family, lookup);
    if (host->no_memory) {
        host->status = ND_UNAVAIL;
        host->h_err = NETDB_INTERNAL;
        host->sys_err = ENOMEM;
    }
}

void nd_lookup_name(struct nd_host *host, struct nd_config *config, const char *name, enum nd_lookup_kind kind,
                    int family, struct nd_lookup *lookup) {
    if (kind == ND_BOTH_FAMILIES ? nd_nscd_addresses(host, name, lookup) : nd_nscd_name(host, name, family, lookup))
        return;
    for (int i = 0; i < config->sources.count; i++) {
        int before = i == 0 ? 0 : host->h_err;
        nd_host_free(host);
        nd_ask_source(host, config, config->sources.list[i], name, kind, family, lookup);
        if (host->status != ND_SUCCESS && host->h_err == 0) /* a hosts file that cannot be read says nothing */
            host->h_err = before;
        nd_host_keep_h_errno(host, before);
        if (host->status == ND_SUCCESS || lookup->expired || lookup->libc_why)
            return;
    }
    lookup->libc_why = config->sources.rest_why;
}
