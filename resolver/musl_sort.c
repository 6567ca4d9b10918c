#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resolver/musl.h"

static const struct rule {
    unsigned char prefix[16];
    unsigned char bits, precedence, label;
} rules[] = {
    {{[15] = 1}, 128, 50, 0},  {{[10] = 0xff, [11] = 0xff}, 96, 35, 4},
    {{0x20, 0x02}, 16, 30, 2}, {{0x20, 0x01}, 32, 5, 5},
    {{0xfc}, 7, 3, 13},        {{0}, 0, 40, 1},
};

static unsigned common_bits(const unsigned char a[16], const unsigned char b[16]) {
    unsigned bits = 0;
    while (bits < 128 && !((a[bits / 8] ^ b[bits / 8]) & (128 >> (bits % 8))))
        bits++;
    return bits;
}

static const struct rule *rule_of(const unsigned char address[16]) {
    const struct rule *rule = rules;
    while (common_bits(address, rule->prefix) < rule->bits)
        rule++;
    return rule;
}

static unsigned scope_of(const unsigned char bytes[16]) {
    struct in6_addr a;
    memcpy(&a, bytes, sizeof a);
    if (IN6_IS_ADDR_MULTICAST(&a))
        return bytes[1] & 15;
    if (IN6_IS_ADDR_LINKLOCAL(&a) || IN6_IS_ADDR_LOOPBACK(&a))
        return 2;
    return IN6_IS_ADDR_SITELOCAL(&a) ? 5 : 14;
}

/* The source address that the kernel would use, as an IPv6 address. Returns 0 where there is no way to the
 * destination, 1 where there is one, 2 with the source. */
static int find_source(const struct nd_musl_address *to, unsigned char source[16]) {
    union nd_server a;
    socklen_t size = nd_musl_sockaddr(&a, to, 65535);
    int found = 0, fd = socket(to->family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
    if (fd < 0)
        return 0;
    if (connect(fd, &a.sa, size) == 0)
        found = getsockname(fd, &a.sa, &size) == 0 ? 2 : 1;
    close(fd);
    if (found == 2)
        nd_musl_as_v6(source, to->family,
                      to->family == AF_INET ? (const void *)&a.v4.sin_addr : (const void *)&a.v6.sin6_addr);
    return found;
}

static unsigned key_of(const struct nd_musl_address *a) {
    unsigned char to[16], source[16];
    nd_musl_as_v6(to, a->family, a->bytes);
    const struct rule *rule = rule_of(to);
    const unsigned scope = scope_of(to);
    const int way = find_source(a, source);
    unsigned key = (unsigned)rule->precedence << 20 | (15 - scope) << 16;
    if (way)
        key |= 1u << 30;
    if (way == 2) {
        key |= scope == scope_of(source) ? 1u << 29 : 0;
        key |= rule->label == rule_of(source)->label ? 1u << 28 : 0;
        key |= common_bits(source, to) << 8;
    }
    return key;
}

void nd_musl_sort(struct nd_musl_address *addresses, int count) {
    unsigned keys[ND_MUSL_ADDRESSES];
    for (int i = 0; i < count; i++) {
        const struct nd_musl_address a = addresses[i];
        const unsigned key = key_of(&a);
        int at = i;
        for (; at > 0 && keys[at - 1] < key; at--) {
            keys[at] = keys[at - 1];
            addresses[at] = addresses[at - 1];
        }
        keys[at] = key;
        addresses[at] = a;
    }
}
