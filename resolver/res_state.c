#include "resolver/res_state.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/kept_connection.h"

/* Before glibc 2.34 they are in libresolv, which a program may be without, and headers call them by other names than those
 * by which the library finds them. */
#undef res_query
#undef res_send
int res_query(const char *, int, int, unsigned char *, int) __attribute__((weak));
int res_send(const unsigned char *, int, unsigned char *, int) __attribute__((weak));

#ifndef RES_NOAAAA
#define RES_NOAAAA 0x10000000
#endif
#ifndef RES_NORELOAD
#define RES_NORELOAD 0x02000000
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

/* libc stores IPv6 servers in an extension of the state; their entry in the IPv4 list is then empty. What it leaves in
 * sin_zero is whatever its memory was used for before. */
static bool server_at(union nd_server *server, const struct __res_state *state, int i) {
    memset(server, 0, sizeof *server);
    if (state->nsaddr_list[i].sin_family == AF_INET) {
        server->v4.sin_family = AF_INET;
        server->v4.sin_port = state->nsaddr_list[i].sin_port;
        server->v4.sin_addr = state->nsaddr_list[i].sin_addr;
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

static void take_sortlist(struct nd_resolv_conf *conf, const struct __res_state *state) {
    for (unsigned i = 0; i < state->nsort && i < MAXRESOLVSORT; i++)
        nd_sortlist_add(&conf->sortlist, ntohl(state->sort_list[i].addr.s_addr), ntohl(state->sort_list[i].mask));
}

static struct nd_resolv_conf *new_conf(void) {
    struct nd_resolv_conf *conf = calloc(1, sizeof *conf);
    if (conf)
        conf->references = 1;
    return conf;
}

/* Whether `file` has the servers, the search list and the sortlist of `state`, into which libc copies six domains or
 * 256 bytes, and ten entries, of these. */
static bool comes_from(const struct nd_resolv_conf *state, const struct nd_resolv_conf *file) {
    struct nd_resolv_conf part = *file;
    size_t room = sizeof((struct __res_state *)0)->defdname;
    for (part.search_count = 0; part.search_count < MAXDNSRCH && part.search_count < file->search_count;) {
        size_t size = strlen(file->search[part.search_count]) + 1;
        if (size > room)
            break;
        room -= size;
        part.search_count++;
    }
    if (part.sortlist.count > MAXRESOLVSORT)
        part.sortlist.count = MAXRESOLVSORT;
    return nd_resolv_conf_same(state, &part);
}

/* Returns the version of resolv.conf that `state` was made from, or NULL: the program has set its own servers or
 * domains. */
static struct nd_resolv_conf *version_of(const struct nd_resolv_conf *state) {
    for (unsigned age = 0; age < ND_RESOLV_CONF_VERSIONS; age++) {
        struct nd_resolv_conf *file = nd_resolv_conf_version(age);
        if (!file || comes_from(state, file))
            return file;
        nd_resolv_conf_put(file);
    }
    return NULL;
}

static size_t count_domains(const struct __res_state *state) {
    size_t count = 0;
    while (count < MAXDNSRCH && state->dnsrch[count])
        count++;
    return count;
}

/* Whether libc may have more domains for `state` than it shows. It takes them where the first ones are its own copy. */
static bool is_cut(const struct __res_state *state, const struct nd_resolv_conf *conf) {
    size_t used = 0;
    for (size_t i = 0; i < conf->search_count; i++)
        used += strlen(conf->search[i]) + 1;
    return state->dnsrch[0] == state->defdname &&
           (conf->search_count == MAXDNSRCH || used > sizeof state->defdname / 2);
}

/* What the state shows. NULL: out of memory. */
static struct nd_resolv_conf *shown_in(const struct __res_state *state) {
    struct nd_resolv_conf *conf = new_conf();
    if (!conf)
        return NULL;
    take_options(conf, state);
    take_servers(conf, state);
    take_sortlist(conf, state);
    if (nd_resolv_conf_set_search(conf, state->dnsrch, count_domains(state)))
        return conf;
    nd_resolv_conf_put(conf);
    return NULL;
}

struct nd_resolv_conf *nd_conf_from_state(struct __res_state *state) {
    struct nd_resolv_conf *conf = shown_in(state);
    if (!conf)
        return NULL;
    bool good = true;
    struct nd_resolv_conf *current = nd_resolv_conf_get(); /* after this it is one of the versions */
    conf->version = current ? current->version : 0;
    nd_resolv_conf_put(current);
    struct nd_resolv_conf *file = version_of(conf);
    conf->of_program = !file || file->version != conf->version;
    if (!file && is_cut(state, conf))
        conf->libc_why = "a search list of a resolv.conf that has changed";
    if (file && file->search_count > conf->search_count)
        good = nd_resolv_conf_set_search(conf, file->search, file->search_count);
    for (size_t i = conf->sortlist.count; file && i < file->sortlist.count; i++)
        nd_sortlist_add(&conf->sortlist, file->sortlist.entries[i].address, file->sortlist.entries[i].mask);
    nd_resolv_conf_put(file);
    if (!good) {
        nd_resolv_conf_put(conf);
        return NULL;
    }
    nd_connection_keep(conf, state);
    return conf;
}

/* Has libc set up this thread's _res or, after a change of resolv.conf, renew it, each by the rules of its version. The
 * question is one that libc refuses without sending it. False: libc cannot be asked. Keeps errno and h_errno. */
static bool renew_state(bool for_send) {
    static const char long_label[] = "a-label-of-more-than-sixty-three-characters-is-not-valid-in-any-name";
    unsigned char packet[NS_HFIXEDSZ] = {0}, answer[NS_PACKETSZ];
    int saved = errno, saved_h_errno = h_errno, saved_in_state = _res.res_h_errno;
    bool able = res_query && res_send;
    errno = 0;
    if (able && for_send) /* it keeps what the program has set before */
        res_send(packet, sizeof packet, answer, 0);
    else if (able)
        res_query(long_label, C_IN, T_A, answer, sizeof answer);
    able = able && errno != ENOSYS;
    errno = saved;
    h_errno = saved_h_errno;
    _res.res_h_errno = saved_in_state;
    return able;
}

struct nd_resolv_conf *nd_conf_for_res(bool for_send) {
    renew_state(for_send);
    return _res.options & RES_INIT ? nd_conf_from_state(&_res) : nd_resolv_conf_get();
}

/* True: libc could not renew `state`, which is as resolv.conf was before it changed. */
static bool is_stale(const struct nd_resolv_conf *state, bool renewed) {
    struct nd_resolv_conf *file = renewed ? NULL : version_of(state);
    nd_resolv_conf_put(file);
    return file && !(_res.options & RES_NORELOAD);
}

struct nd_resolv_conf *nd_conf_for_lookup(void) {
    struct nd_resolv_conf *file = nd_resolv_conf_get();
    if (!file || (!(_res.options & RES_INIT) && !file->no_reload))
        return file;
    bool renewed = renew_state(false);
    struct nd_resolv_conf *state = _res.options & RES_INIT ? nd_conf_from_state(&_res) : NULL;
    if (!state || is_stale(state, renewed)) {
        nd_resolv_conf_put(state);
        return file;
    }
    state->libc_why = file->libc_why;
    nd_resolv_conf_put(file);
    return state;
}

static bool has_same_options(const struct nd_resolv_conf *a, const struct nd_resolv_conf *b) {
    return a->ndots == b->ndots && a->timeout_s == b->timeout_s && a->attempts == b->attempts &&
           a->rotate == b->rotate && a->use_vc == b->use_vc && a->edns0 == b->edns0 && a->trust_ad == b->trust_ad &&
           a->no_aaaa == b->no_aaaa && a->no_tld_query == b->no_tld_query && a->single_request == b->single_request &&
           a->single_request_reopen == b->single_request_reopen && a->dnssec == b->dnssec &&
           a->no_recurse == b->no_recurse && a->ignore_truncation == b->ignore_truncation &&
           a->no_search == b->no_search && a->no_default_domain == b->no_default_domain;
}

enum nd_state_of nd_state_of_thread(void) {
    if (!(_res.options & RES_INIT))
        return ND_STATE_OF_FILE;
    renew_state(false); /* as libc's lookup does at first: what is left then is the program's */
    struct nd_resolv_conf *state = shown_in(&_res), *current = nd_resolv_conf_get();
    struct nd_resolv_conf *file = state && current ? version_of(state) : NULL;
    enum nd_state_of of = ND_STATE_OF_FILE;
    if (!state || !current) {
        of = ND_STATE_OF_FILE; /* out of memory */
    } else if (!file || (file->version != current->version && _res.options & RES_NORELOAD)) {
        of = ND_STATE_OF_PROGRAM;
    } else if (!has_same_options(state, file)) { /* libc does not renew such a state */
        of = file->version == current->version ? ND_STATE_OPTIONS_OF_PROGRAM : ND_STATE_OF_PROGRAM;
    }
    nd_resolv_conf_put(file);
    nd_resolv_conf_put(current);
    nd_resolv_conf_put(state);
    return of;
}

bool nd_state_set_up(void) {
    return renew_state(false) && _res.options & RES_INIT;
}
