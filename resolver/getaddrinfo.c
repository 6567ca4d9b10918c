#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/addrinfo.h"
#include "resolver/interfaces.h"
#include "resolver/libc_version.h"
#include "resolver/lookup_name.h"
#include "resolver/musl.h"
#include "resolver/nscd.h"
#include "resolver/numeric.h"
#include "resolver/resolver.h"
#include "resolver/sort.h"

#define KNOWN_FLAGS                                                                                                    \
    (AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_ADDRCONFIG | AI_V4MAPPED | AI_IDN | AI_CANONIDN |                 \
     AI_NUMERICSERV | AI_ALL | 0x300) /* AI_IDN_ALLOW_UNASSIGNED, AI_IDN_USE_STD3_ASCII_RULES */

struct request {
    const char *node, *service;
    bool service_is_name;
    struct addrinfo hints;
    struct nd_lookup *lookup;
    struct nd_type types[ND_MAX_TYPES];
    int type_count;
    struct nd_interfaces interfaces;
    bool interfaces_known;
    bool ipv6_unknown; /* the question for IPv6 addresses was given up for lack of time */
    bool got_ipv6;     /* IPv6 addresses were asked for and found: mapped ones are dropped */
};

/* Each name_from_… function returns 0 with host->count > 0 where it has found the name, 0 with count 0 where the next
 * one is to be called, an EAI_ code where the lookup has failed, or ND_LOOKUP_LIBC. */

static int name_from_null(struct nd_host *host, const struct request *r) {
    static const unsigned char loopback4[4] = {127, 0, 0, 1}, any[16];
    static const unsigned char loopback6[16] = {[15] = 1};
    bool passive = r->hints.ai_flags & AI_PASSIVE;
    if (r->node)
        return 0;
    if (r->hints.ai_family != AF_INET)
        nd_host_add_address(host, AF_INET6, passive ? any : loopback6);
    if (r->hints.ai_family != AF_INET6)
        nd_host_add_address(host, AF_INET, passive ? any : loopback4);
    return 0;
}

static void map_to_v6(struct nd_address *a) {
    memcpy(a->bytes + 12, a->bytes, 4);
    memset(a->bytes, 0, 10);
    a->bytes[10] = a->bytes[11] = 0xff;
    a->family = AF_INET6;
}

/* Adds the parsed address in the requested family. */
static int take_numeric(struct nd_host *host, const struct request *r, struct nd_address a) {
    int wanted = r->hints.ai_family;
    if (a.family == AF_INET && wanted == AF_INET6) {
        if (!(r->hints.ai_flags & AI_V4MAPPED))
            return EAI_ADDRFAMILY;
        map_to_v6(&a);
    } else if (a.family == AF_INET6 && wanted == AF_INET) {
        if (!IN6_IS_ADDR_V4MAPPED((struct in6_addr *)a.bytes))
            return EAI_ADDRFAMILY;
        memcpy(a.bytes, a.bytes + 12, 4);
        a.family = AF_INET;
    }
    nd_host_add_address(host, a.family, a.bytes);
    if (host->count)
        host->addresses[0].scope = a.scope;
    return 0;
}

static int name_from_numeric(struct nd_host *host, const struct request *r) {
    struct nd_address a = {.family = AF_INET};
    struct in_addr v4;
    bool scope_good;
    if (strchr(r->node, ':')) {
        a.family = AF_INET6;
        if (nd_parse_ipv6(r->node, (struct in6_addr *)a.bytes, &a.scope, &scope_good)) {
            int error = take_numeric(host, r, a);
            return error ? error : scope_good ? 0 : EAI_NONAME;
        }
    } else if (nd_parse_ipv4(r->node, &v4)) {
        memcpy(a.bytes, &v4, 4);
        return take_numeric(host, r, a);
    }
    return r->hints.ai_flags & AI_NUMERICHOST ? EAI_NONAME : 0;
}

static int system_error(const struct nd_host *host) {
    errno = host->sys_err;
    return EAI_SYSTEM;
}

/* libc's getaddrinfo has the sources write to the thread's h_errno. */
static void set_h_errno(const struct nd_host *host) {
    if (!host->keeps_h_errno && (host->status == ND_SUCCESS || host->h_err != 0))
        h_errno = host->h_err;
}

/* gethostbyname rejects a name that looks like an address but is not a valid one: "1.2.3.4.5", "::zz". */
static bool looks_numeric(const char *name) {
    if (*name >= '0' && *name <= '9' && name[strspn(name, "0123456789.")] == '\0' && name[strlen(name) - 1] != '.')
        return true;
    return *name == ':' || (strspn(name, "0123456789abcdefABCDEF") > 0 && strchr(name, ':'));
}

/* For AF_INET without AI_CANONNAME glibc uses gethostbyname2_r, whose failures map to other codes. */
static int name_by_gethostbyname(struct nd_host *host, const struct request *r, struct nd_config *config) {
    if (looks_numeric(r->node)) {
        h_errno = HOST_NOT_FOUND;
        return EAI_NONAME;
    }
    nd_lookup_name(host, config, r->node, ND_ONE_FAMILY, AF_INET, r->lookup);
    set_h_errno(host);
    if (host->status == ND_SUCCESS)
        return 0;
    if (host->status == ND_NOTFOUND)
        return host->h_err == NO_DATA && nd_libc_tells_no_data() ? EAI_NODATA : EAI_NONAME;
    if (host->h_err == NETDB_INTERNAL)
        return system_error(host);
    return host->h_err == TRY_AGAIN ? EAI_AGAIN : EAI_NODATA;
}

/* The value of glibc's no_data for a failed query, for both families or for one. */
static int no_data_of(const struct nd_host *host, bool both) {
    if (host->h_err == TRY_AGAIN)
        return EAI_AGAIN;
    return host->h_err == NO_DATA && (both ? nd_libc_asks_both_at_once() : nd_libc_tells_no_data());
}

static int code_for(int no_data, int no_inet6_data) {
    if (no_data == 0 || no_inet6_data == 0)
        return EAI_NONAME;
    return no_data == EAI_AGAIN && no_inet6_data == EAI_AGAIN ? EAI_AGAIN : EAI_NODATA;
}

static int name_both_families(struct nd_host *host, const struct request *r, struct nd_config *config) {
    nd_lookup_name(host, config, r->node, ND_BOTH_FAMILIES, AF_UNSPEC, r->lookup);
    set_h_errno(host);
    if (host->status == ND_SUCCESS)
        return 0;
    if (host->status != ND_NOTFOUND && host->h_err == NETDB_INTERNAL)
        return system_error(host);
    return code_for(no_data_of(host, true), no_data_of(host, true));
}

/* Appends the addresses of `from` to `to`, and its canonical name where `to` has none. */
static void append(struct nd_host *to, const struct nd_host *from, bool map) {
    for (size_t i = 0; i < from->count; i++) {
        struct nd_address a = from->addresses[i];
        if (map)
            map_to_v6(&a);
        nd_host_add_address(to, a.family, a.bytes);
    }
    if (!to->canonical && from->canonical)
        nd_host_set_canonical(to, from->canonical, strlen(from->canonical));
}

/* What nscd has, of which the requested family is taken, and IPv4 addresses to be mapped. False: it says nothing. */
static bool one_family_from_nscd(struct nd_host *host, struct request *r) {
    struct nd_host all;
    bool map = r->hints.ai_family == AF_INET6 && r->hints.ai_flags & AI_V4MAPPED;
    nd_host_init(&all);
    bool answered = nd_nscd_addresses(&all, r->node, r->lookup);
    for (size_t i = 0; i < all.count; i++) {
        struct nd_address a = all.addresses[i];
        if (a.family != r->hints.ai_family && !map)
            continue;
        r->got_ipv6 |= a.family == AF_INET6;
        if (a.family != r->hints.ai_family)
            map_to_v6(&a);
        nd_host_add_address(host, a.family, a.bytes);
    }
    if (all.canonical)
        nd_host_set_canonical(host, all.canonical, strlen(all.canonical));
    host->h_err = all.h_err;
    nd_host_free(&all);
    return answered;
}

/* Asks the source for IPv6 addresses, in place of which mapped ones will do. Where the servers do not answer that
 * question, part of the time is left for the other one. */
static void ask_for_v6(struct nd_host *part, struct request *r, struct nd_config *config, enum nd_source source,
                       enum nd_lookup_kind kind) {
    if (source != ND_SOURCE_DNS || !nd_config_get_resolv(part, config, r->lookup)) {
        nd_ask_source(part, config, source, r->node, kind, AF_INET6, r->lookup);
        return;
    }
    nd_lookup_extend(r->lookup, config->resolv);
    struct nd_lookup some = *r->lookup;
    nd_time now = nd_now(), deadline = nd_lookup_deadline(r->lookup);
    some.deadline = deadline == ND_NEVER || deadline < now ? deadline : deadline - (deadline - now) / 4;
    nd_ask_source(part, config, source, r->node, kind, AF_INET6, &some);
    r->lookup->libc_why = some.libc_why;
    r->ipv6_unknown = some.expired;
    r->lookup->gave_stale = some.gave_stale;
    r->lookup->stale_age = some.stale_age;
}

/* Asks each source in turn for the requested family and then, for mapped addresses, for IPv4. */
static int name_one_family(struct nd_host *host, struct request *r, struct nd_config *config) {
    enum nd_lookup_kind kind = r->hints.ai_flags & AI_CANONNAME ? ND_ONE_FAMILY_CANON : ND_ONE_FAMILY;
    int wanted = r->hints.ai_family, no_data = 0, no_inet6_data = 0;
    bool map = wanted == AF_INET6 && r->hints.ai_flags & AI_V4MAPPED;
    if (one_family_from_nscd(host, r))
        return host->count ? 0 : EAI_NONAME;
    for (int i = 0; i < config->sources.count && !r->lookup->expired && !r->lookup->libc_why; i++) {
        struct nd_host part;
        nd_host_init(&part);
        if (map)
            ask_for_v6(&part, r, config, config->sources.list[i], kind);
        else
            nd_ask_source(&part, config, config->sources.list[i], r->node, kind, wanted, r->lookup);
        set_h_errno(&part);
        no_data = no_inet6_data = part.status == ND_SUCCESS ? 0 : no_data_of(&part, false);
        bool failed = part.status != ND_SUCCESS && part.h_err == NETDB_INTERNAL;
        r->got_ipv6 = part.status == ND_SUCCESS && wanted == AF_INET6;
        if (part.status == ND_SUCCESS)
            append(host, &part, false);
        if (!failed && map && !r->lookup->expired && (r->hints.ai_flags & AI_ALL || host->count == 0)) {
            nd_host_free(&part);
            nd_ask_source(&part, config, config->sources.list[i], r->node, kind, AF_INET, r->lookup);
            set_h_errno(&part);
            no_data = part.status == ND_SUCCESS ? 0 : no_data_of(&part, false);
            failed = part.status != ND_SUCCESS && part.h_err == NETDB_INTERNAL;
            if (part.status == ND_SUCCESS) {
                append(host, &part, true);
                r->got_ipv6 = false;
            }
        }
        if (failed)
            host->sys_err = part.sys_err;
        nd_host_free(&part);
        if (failed)
            return system_error(host);
        if (host->count)
            return 0;
        if (r->ipv6_unknown) { /* that there are no others does not mean that there are none */
            r->lookup->expired = true;
            return EAI_AGAIN;
        }
    }
    if (!r->lookup->libc_why && !r->lookup->expired)
        r->lookup->libc_why = config->sources.rest_why;
    return code_for(no_data, no_inet6_data);
}

static int name_from_sources(struct nd_host *host, struct request *r) {
    struct nd_config config;
    int code = nd_config_get(&config, r->node, r->lookup);
    if (code)
        return code;
    if (r->hints.ai_family == AF_UNSPEC)
        code = name_both_families(host, r, &config);
    else if (r->hints.ai_family == AF_INET && !(r->hints.ai_flags & AI_CANONNAME))
        code = name_by_gethostbyname(host, r, &config);
    else
        code = name_one_family(host, r, &config);
    nd_config_put(&config);
    return r->lookup->libc_why ? ND_LOOKUP_LIBC : code;
}

static int look_up(struct nd_host *host, struct request *r) {
    int code = name_from_null(host, r);
    if (code == 0 && r->node && host->count == 0)
        code = name_from_numeric(host, r);
    if (code == 0 && host->count == 0)
        code = name_from_sources(host, r);
    return code;
}

/* With AI_V4MAPPED and without AI_ALL, an IPv6 result has no mapped addresses, even where no other is left. */
static void drop_mapped(struct nd_host *host, const struct request *r) {
    size_t kept = 0;
    if (!r->got_ipv6 || (r->hints.ai_flags & (AI_V4MAPPED | AI_ALL)) != AI_V4MAPPED)
        return;
    for (size_t i = 0; i < host->count; i++)
        if (!IN6_IS_ADDR_V4MAPPED((struct in6_addr *)host->addresses[i].bytes))
            host->addresses[kept++] = host->addresses[i];
    host->count = kept;
}

static int check_hints(struct request *r, const struct addrinfo *hints) {
    static const struct addrinfo default_hints = {.ai_flags = AI_V4MAPPED | AI_ADDRCONFIG};
    r->hints = hints ? *hints : default_hints;
    if (r->hints.ai_flags & ~KNOWN_FLAGS || (r->hints.ai_flags & AI_CANONNAME && !r->node))
        return EAI_BADFLAGS;
    int family = r->hints.ai_family;
    return family == AF_UNSPEC || family == AF_INET || family == AF_INET6 ? 0 : EAI_FAMILY;
}

/* AI_ADDRCONFIG: a family of which the host has no address is not looked up. */
static int narrow_family(struct request *r) {
    if (!(r->hints.ai_flags & AI_ADDRCONFIG))
        return 0;
    nd_interfaces_get(&r->interfaces, nd_lookup_deadline(r->lookup));
    r->interfaces_known = true;
    bool v4 = r->interfaces.has_ipv4, v6 = r->interfaces.has_ipv6;
    if (r->hints.ai_family == AF_UNSPEC && v4 != v6)
        r->hints.ai_family = v4 ? AF_INET : AF_INET6;
    else if ((r->hints.ai_family == AF_INET && !v4) || (r->hints.ai_family == AF_INET6 && !v6))
        return EAI_NONAME;
    return 0;
}

static bool is_ascii(const char *name) {
    for (; *name; name++)
        if ((unsigned char)*name >= 0x80)
            return false;
    return true;
}

/* Returns why only libc can make the lookup, as far as its arguments show; else NULL. */
static const char *needs_libc(const struct request *r) {
    int flags = r->hints.ai_flags;
    if (r->node && flags & AI_IDN && !is_ascii(r->node))
        return "an internationalized name";
    return r->service_is_name ? nd_nsswitch_services() : NULL;
}

/* AI_CANONIDN decodes the canonical name's ACE labels with libidn2; a name without any is returned unchanged. */
static bool needs_decoding(const struct request *r, const char *canonical) {
    return r->hints.ai_flags & AI_CANONIDN && canonical && (!is_ascii(canonical) || strcasestr(canonical, "xn--"));
}

static int resolve(struct request *r, struct nd_host *host, struct addrinfo **res) {
    int code = narrow_family(r);
    if (code)
        return code;
    unsigned long number;
    r->service_is_name = r->service && !nd_service_number(r->service, &number);
    if (r->service_is_name && r->hints.ai_flags & AI_NUMERICSERV)
        return EAI_NONAME;
    if ((r->lookup->libc_why = needs_libc(r)) != NULL)
        return ND_LOOKUP_LIBC;
    r->type_count = nd_service_types(r->types, r->service, &r->hints);
    if (r->type_count < 0)
        return r->type_count;
    if ((code = look_up(host, r)) != 0)
        return code;
    drop_mapped(host, r);
    if (host->count == 0 && !host->no_memory)
        return EAI_NONAME;
    const char *canonical = r->hints.ai_flags & AI_CANONNAME ? host->canonical ? host->canonical : r->node : NULL;
    if (needs_decoding(r, canonical)) {
        r->lookup->libc_why = "AI_CANONIDN";
        return ND_LOOKUP_LIBC;
    }
    code = host->no_memory
               ? EAI_MEMORY
               : nd_make_list(res, host->addresses, host->count, r->types, r->type_count, r->hints.ai_flags, canonical);
    if (code == 0 && r->lookup->canonical && host->canonical && strlen(host->canonical) < NI_MAXHOST)
        strcpy(r->lookup->canonical, host->canonical);
    if (code == 0 && host->count > 1)
        nd_sort_addresses(res, r->interfaces_known ? &r->interfaces : NULL, nd_lookup_deadline(r->lookup));
    return code;
}

int nd_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res,
                   struct nd_lookup *lookup) {
    int saved = errno;
    struct request r = {.lookup = lookup};
    struct nd_host host;
    if (nd_libc_is_musl())
        return nd_musl_getaddrinfo(node, service, hints, res, lookup);
    nd_host_init(&host);
    nd_lookup_reset(lookup);
    r.node = node && strcmp(node, "*") == 0 ? NULL : node;
    r.service = service && strcmp(service, "*") == 0 ? NULL : service;
    if (!r.node && !r.service)
        return EAI_NONAME;
    int code = check_hints(&r, hints);
    if (code)
        return code;
    if (r.service && !*r.service)
        r.service = NULL;
    code = resolve(&r, &host, res);
    nd_interfaces_free(&r.interfaces);
    nd_host_free(&host);
    if (code != EAI_SYSTEM)
        errno = saved;
    return code;
}
