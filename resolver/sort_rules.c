#include "resolver/sort_rules.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

/* RFC 3484's tables with glibc's additions: site-local and unique-local (never behind NAT), Teredo. */
static const struct nd_prefix labels[] = {
    {{[15] = 1}, 128, 0},  {{0x20, 0x02}, 16, 2}, {{0}, 96, 3},          {{[10] = 0xff, [11] = 0xff}, 96, 4},
    {{0xfe, 0xc0}, 10, 5}, {{0xfc}, 7, 6},        {{0x20, 0x01}, 32, 7}, {{0}, 0, 1},
};
static const struct nd_prefix precedences[] = {
    {{[15] = 1}, 128, 50}, {{0x20, 0x02}, 16, 30}, {{0}, 96, 20}, {{[10] = 0xff, [11] = 0xff}, 96, 10}, {{0}, 0, 40},
};
static const struct nd_prefix scopes[] = {
    {{[10] = 0xff, [11] = 0xff, 169, 254}, 112, 2},
    {{[10] = 0xff, [11] = 0xff, 127}, 104, 2},
    {{[10] = 0xff, [11] = 0xff}, 96, 14},
};
const struct nd_sort_tables nd_sort_tables = {labels, precedences, scopes};

static int match(const struct sockaddr *address, const struct nd_prefix *table) {
    uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff};
    if (address->sa_family == AF_INET)
        memcpy(bytes + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
    else
        memcpy(bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
    for (;; table++) {
        unsigned whole = table->bits / 8, rest = table->bits % 8;
        uint8_t mask = (uint8_t)(0xff00 >> rest);
        if (memcmp(bytes, table->bytes, whole) == 0 &&
            (rest == 0 || (bytes[whole] & mask) == (table->bytes[whole] & mask)))
            return table->value;
    }
}

static int scope_of(const struct sockaddr *address, const struct nd_prefix *v4_scopes) {
    if (address->sa_family == AF_INET)
        return match(address, v4_scopes);
    const struct in6_addr *a = &((const struct sockaddr_in6 *)address)->sin6_addr;
    if (IN6_IS_ADDR_MULTICAST(a))
        return a->s6_addr[1] & 15;
    if (IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_LOOPBACK(a))
        return 2;
    return IN6_IS_ADDR_SITELOCAL(a) ? 5 : 14;
}

/* The one that has the property goes first. */
static int prefer(bool a, bool b) {
    return a == b ? 0 : a ? -1 : 1;
}

/* The number of bits in which source and destination agree counts only inside one subnet: bits of addresses of
 * different IPv4 networks say nothing about distance. A prefix length of 0 (not known) means the whole address. */
static int common_bits_v4(const struct nd_destination *d) {
    uint32_t to = ntohl(((const struct sockaddr_in *)d->address)->sin_addr.s_addr);
    uint32_t from = ntohl(d->source.v4.sin_addr.s_addr);
    uint32_t mask = 0xffffffffu << ((32 - d->prefix_length) & 31);
    if ((to & mask) != (from & mask))
        return 0;
    return to == from ? 32 : __builtin_clz(to ^ from);
}

static uint32_t word(const struct in6_addr *a, int i) {
    uint32_t w;
    memcpy(&w, a->s6_addr + 4 * i, 4);
    return ntohl(w);
}

/* Compared in the first 32-bit word in which either pair differs. */
static int compare_prefix_v6(const struct nd_destination *a, const struct nd_destination *b) {
    const struct in6_addr *a_to = &((const struct sockaddr_in6 *)a->address)->sin6_addr;
    const struct in6_addr *b_to = &((const struct sockaddr_in6 *)b->address)->sin6_addr;
    for (int i = 0; i < 4; i++) {
        uint32_t a_diff = word(a_to, i) ^ word(&a->source.v6.sin6_addr, i);
        uint32_t b_diff = word(b_to, i) ^ word(&b->source.v6.sin6_addr, i);
        if (!a_diff && !b_diff)
            continue;
        return (b_diff ? __builtin_clz(b_diff) : 32) - (a_diff ? __builtin_clz(a_diff) : 32);
    }
    return 0;
}

static int compare_prefix(const struct nd_destination *a, const struct nd_destination *b) {
    if (!a->has_source || a->address->sa_family != b->address->sa_family)
        return 0;
    return a->address->sa_family == AF_INET ? common_bits_v4(b) - common_bits_v4(a) : compare_prefix_v6(a, b);
}

int nd_compare_destinations(const struct nd_destination *a, const struct nd_destination *b,
                            const struct nd_sort_tables *tables, bool *native_matters) {
    int order;
    int a_scope = scope_of(a->address, tables->scopes), b_scope = scope_of(b->address, tables->scopes);
    if ((order = prefer(a->has_source, b->has_source)) != 0) /* 1: unusable ones last */
        return order;
    if (a->has_source) {
        order = prefer(a_scope == scope_of(&a->source.sa, tables->scopes),
                       b_scope == scope_of(&b->source.sa, tables->scopes)); /* 2 */
        if (!order)
            order = prefer(!a->deprecated, !b->deprecated); /* 3 */
        if (!order)
            order = prefer(a->home, b->home); /* 4 */
        if (!order)
            order = prefer(match(a->address, tables->labels) == match(&a->source.sa, tables->labels),
                           match(b->address, tables->labels) == match(&b->source.sa, tables->labels)); /* 5 */
        if (order)
            return order;
    }
    if ((order = match(b->address, tables->precedences) - match(a->address, tables->precedences)) != 0) /* 6 */
        return order;
    if (a->has_source && a->index != b->index) { /* 7 */
        *native_matters = true;
        if ((order = prefer(a->native, b->native)) != 0)
            return order;
    }
    if (a_scope != b_scope) /* 8 */
        return a_scope - b_scope;
    return compare_prefix(a, b); /* 9; then 10: in their original order */
}
