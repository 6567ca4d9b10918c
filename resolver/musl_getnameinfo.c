#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "resolver/dns_packet.h"
#include "resolver/musl.h"
#include "resolver/musl_answer.h"
#include "resolver/musl_ask.h"
#include "resolver/musl_lines.h"

enum { REVERSE_NAME = 80, PTR_ROOM = 512 };

struct reverse {
    int family;
    const unsigned char *bytes;
    uint32_t scope;
};

static void name_v4(char name[REVERSE_NAME], const unsigned char *b) {
    snprintf(name, REVERSE_NAME, "%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0]);
}

static bool is_mapped(const unsigned char *bytes) {
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(bytes, prefix, sizeof prefix) == 0;
}

static void make_name(char name[REVERSE_NAME], const struct reverse *r) {
    static const char digits[] = "0123456789abcdef";
    if (r->family == AF_INET) {
        name_v4(name, r->bytes);
    } else if (is_mapped(r->bytes)) {
        name_v4(name, r->bytes + 12);
    } else {
        for (int i = 15; i >= 0; i--) {
            *name++ = digits[r->bytes[i] & 15];
            *name++ = '.';
            *name++ = digits[r->bytes[i] >> 4];
            *name++ = '.';
        }
        memcpy(name, "ip6.arpa", sizeof "ip6.arpa");
    }
}

static bool is_same(const struct nd_musl_address *a, const struct reverse *r) {
    unsigned char wanted[16], had[16];
    nd_musl_as_v6(wanted, r->family, r->bytes);
    nd_musl_as_v6(had, a->family, a->bytes);
    return memcmp(wanted, had, 16) == 0 && a->scope == r->scope;
}

static void from_hosts(char name[ND_MUSL_NAME], const struct reverse *r) {
    struct nd_musl_lines lines;
    struct nd_musl_address a;
    char line[512];
    if (nd_musl_lines_open(&lines, "/etc/hosts") != 0)
        return;
    while (nd_musl_lines_next(&lines, line, sizeof line)) {
        nd_musl_lines_cut_comment(line);
        char *end = nd_musl_word_end(line);
        if (!*end)
            continue;
        *end = '\0';
        if (nd_musl_numeric(&a, line, AF_UNSPEC) <= 0 || !is_same(&a, r))
            continue;
        char *word = nd_musl_word_next(end + 1), *word_end = nd_musl_word_end(word);
        if (word_end - word >= ND_MUSL_NAME)
            continue;
        *word_end = '\0';
        memcpy(name, word, (size_t)(word_end - word) + 1);
        break;
    }
    nd_musl_lines_close(&lines);
}

/* The last one counts. */
static bool take_ptr(void *name, const struct nd_musl_record *r) {
    if (r->type == ND_TYPE_PTR && !nd_musl_expand(r->packet, r->size, r->at, name))
        *(char *)name = '\0';
    return true;
}

static void from_dns(char name[ND_MUSL_NAME], const struct reverse *r, struct nd_lookup *lookup) {
    struct nd_musl_conf conf;
    uint8_t packet[ND_MUSL_QUERY_MAX];
    char reverse[REVERSE_NAME];
    if (nd_musl_conf_read(&conf) != 0)
        return;
    nd_lookup_extend_to(lookup, nd_musl_patience(&conf));
    make_name(reverse, r);
    const int size = nd_musl_make_query(packet, reverse, 1, ND_TYPE_PTR, false);
    struct nd_musl_ask ask = {
        .conf = &conf, .lookup = lookup, .questions = {{packet, (size_t)size}}, .question_count = 1, .room = PTR_ROOM};
    nd_musl_ask(&ask);
    if (ask.answers[0].bytes)
        nd_musl_records(ask.answers[0].bytes, ask.answers[0].size, take_ptr, name);
    nd_musl_ask_free(&ask);
}

static void write_number(char name[ND_MUSL_NAME], const struct reverse *r, int flags) {
    char interface[IF_NAMESIZE + 1];
    struct in6_addr v6;
    inet_ntop(r->family, r->bytes, name, ND_MUSL_NAME);
    if (!r->scope)
        return;
    memcpy(&v6, r->bytes, sizeof v6);
    size_t length = strlen(name), room = ND_MUSL_NAME - length;
    if (!(flags & 0x100) && /* NI_NUMERICSCOPE */
        (IN6_IS_ADDR_LINKLOCAL(&v6) || IN6_IS_ADDR_MC_LINKLOCAL(&v6)) && if_indextoname(r->scope, interface))
        snprintf(name + length, room, "%%%s", interface);
    else
        snprintf(name + length, room, "%%%u", r->scope);
}

static int write_host(const struct reverse *r, char *host, socklen_t size, int flags, struct nd_lookup *lookup) {
    char name[ND_MUSL_NAME];
    *name = '\0';
    if (!(flags & NI_NUMERICHOST)) {
        from_hosts(name, r);
        if (!*name)
            from_dns(name, r, lookup);
    }
    if (!*name && flags & NI_NAMEREQD)
        return EAI_NONAME;
    if (!*name)
        write_number(name, r, flags);
    if (strlen(name) >= size)
        return EAI_OVERFLOW;
    memcpy(host, name, strlen(name) + 1);
    return 0;
}

static int write_service(int port, char *service, socklen_t size, int flags) {
    char name[ND_MUSL_NAME];
    *name = '\0';
    if (!(flags & NI_NUMERICSERV))
        nd_musl_service_of(name, port, flags & NI_DGRAM);
    if (!*name)
        snprintf(name, sizeof name, "%d", port);
    if (strlen(name) >= size)
        return EAI_OVERFLOW;
    memcpy(service, name, strlen(name) + 1);
    return 0;
}

int nd_musl_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size,
                        char *service, socklen_t service_size, int flags, struct nd_lookup *lookup) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    struct reverse r = {.family = address->sa_family};
    int code = 0;
    nd_lookup_reset(lookup);
    if (r.family == AF_INET && length >= sizeof *v4) {
        r.bytes = (const unsigned char *)&v4->sin_addr;
    } else if (r.family == AF_INET6 && length >= sizeof *v6) {
        r.bytes = (const unsigned char *)&v6->sin6_addr;
        r.scope = v6->sin6_scope_id;
    } else {
        return EAI_FAMILY;
    }
    if (host && host_size)
        code = write_host(&r, host, host_size, flags, lookup);
    if (!code && service && service_size)
        code = write_service(ntohs(v4->sin_port), service, service_size, flags);
    return code;
}
