#include "resolver/res_state.h"

#include <stdlib.h>
#include <string.h>

#ifndef RES_NOAAAA
#define RES_NOAAAA 0x10000000
#endif
#ifndef RES_TRUSTAD
#define RES_TRUSTAD 0x04000000
#endif
#ifndef RES_SNGLKUPREOP
#define RES_SNGLKUPREOP 0x00400000
#endif

static void take_options(struct nd_resolv_conf *conf, const struct __res_state *state) {
    unsigned long o = state->options;
    conf->rotate = o & RES_ROTATE;
    conf->use_vc = o & RES_USEVC;
    conf->edns0 = o & RES_USE_EDNS0;
    conf->dnssec = o & RES_USE_DNSSEC;
    conf->trust_ad = o & RES_TRUSTAD;
    conf->no_aaaa = o & RES_NOAAAA;
    conf->no_tld_query = o & RES_NOTLDQUERY;
    conf->single_request = o & RES_SNGLKUP;
    conf->single_request_reopen = o & RES_SNGLKUPREOP;
    conf->no_recurse = !(o & RES_RECURSE);
    conf->ignore_truncation = o & RES_IGNTC;
    conf->no_search = !(o & RES_DNSRCH);
    conf->no_default_domain = !(o & RES_DEFNAMES);
    conf->timeout_s = state->retrans;
    conf->attempts = state->retry;
    conf->ndots = (int)state->ndots;
}

/* libc stores IPv6 servers in an extension of the state; their entry in the IPv4 list is then empty. */
static bool server_at(union nd_server *server, const struct __res_state *state, int i) {
    memset(server, 0, sizeof *server);
    if (state->nsaddr_list[i].sin_family == AF_INET) {
        server->v4 = state->nsaddr_list[i];
        return true;
    }
    const struct sockaddr_in6 *v6 = state->_u._ext.nsaddrs[i];
    if (state->nsaddr_list[i].sin_family != 0 || !v6 || v6->sin6_family != AF_INET6)
        return false;
    server->v6 = *v6;
    return true;
}

static void take_servers(struct nd_resolv_conf *conf, const struct __res_state *state) {
    int count = state->nscount < ND_MAX_SERVERS ? state->nscount : ND_MAX_SERVERS;
    conf->server_count = 0;
    for (int i = 0; i < count; i++)
        if (server_at(&conf->servers[conf->server_count], state, i))
            conf->server_count++;
}

static struct nd_resolv_conf *new_conf(void) {
    struct nd_resolv_conf *conf = calloc(1, sizeof *conf);
    if (conf)
        conf->references = 1;
    return conf;
}

static bool add_search(struct nd_resolv_conf *conf, const char *domain) {
    char **list = realloc(conf->search, (conf->search_count + 2) * sizeof *list);
    if (!list)
        return false;
    conf->search = list;
    list[conf->search_count] = strdup(domain);
    if (!list[conf->search_count])
        return false;
    list[++conf->search_count] = NULL;
    return true;
}

struct nd_resolv_conf *nd_conf_from_state(const struct __res_state *state) {
    struct nd_resolv_conf *conf = new_conf();
    if (!conf)
        return NULL;
    take_options(conf, state);
    take_servers(conf, state);
    for (int i = 0; i < MAXDNSRCH && state->dnsrch[i]; i++)
        if (!add_search(conf, state->dnsrch[i])) {
            nd_resolv_conf_put(conf);
            return NULL;
        }
    return conf;
}

static uint64_t hash_servers(const struct nd_resolv_conf *conf) {
    const unsigned char *p = (const unsigned char *)conf->servers;
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < (size_t)conf->server_count * sizeof conf->servers[0]; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h;
}

/* Remembers the last few server lists that the file had while this process has run. True: `asked` is one of them. */
static bool was_in_file(uint64_t file_now, uint64_t asked) {
    static uint64_t seen[16];
    static unsigned next;
    bool known = false, found = file_now == asked;
    for (unsigned i = 0; i < 16; i++) {
        uint64_t h = __atomic_load_n(&seen[i], __ATOMIC_RELAXED);
        known |= h == file_now;
        found |= h == asked;
    }
    if (!known)
        __atomic_store_n(&seen[__atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % 16], file_now, __ATOMIC_RELAXED);
    return found;
}

struct nd_resolv_conf *nd_conf_for_res(const struct __res_state *res) {
    struct nd_resolv_conf *file = nd_resolv_conf_get();
    if (!file || !(res->options & RES_INIT))
        return file;
    struct nd_resolv_conf *state = nd_conf_from_state(res);
    if (state && was_in_file(hash_servers(file), hash_servers(state))) {
        memcpy(state->servers, file->servers, sizeof state->servers);
        state->server_count = file->server_count;
    }
    nd_resolv_conf_put(file);
    return state;
}
