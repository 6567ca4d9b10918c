#include "resolver/numeric.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>

static int digit_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

/* Reads one number as strtoul(…, 0) does: 0x hexadecimal, 0 octal. False: not a number, or more than 32 bits. */
static bool read_part(const char **at, uint32_t *value) {
    const char *p = *at;
    int base = 10;
    if (!(*p >= '0' && *p <= '9'))
        return false;
    if (*p == '0') {
        base = 8;
        if ((p[1] == 'x' || p[1] == 'X') && digit_value(p[2]) < 16) {
            base = 16;
            p += 2;
        }
    }
    uint64_t sum = 0;
    if (base == 10) { /* the usual case, at half the cost */
        for (unsigned digit; (digit = (unsigned char)(*p - '0')) <= 9 && sum <= UINT32_MAX; p++)
            sum = sum * 10 + digit;
        *value = (uint32_t)sum;
        *at = p;
        return sum <= UINT32_MAX;
    }
    for (int digit; (digit = digit_value(*p)) < base; p++) {
        sum = sum * (unsigned)base + (unsigned)digit;
        if (sum > UINT32_MAX)
            return false;
    }
    *value = (uint32_t)sum;
    *at = p;
    return true;
}

bool nd_parse_ipv4(const char *text, struct in_addr *address) {
    static const uint32_t last_max[4] = {0xffffffff, 0xffffff, 0xffff, 0xff};
    uint32_t high = 0, value;
    for (int part = 0; part < 4; part++) {
        if (!read_part(&text, &value))
            return false;
        if (*text == '\0') {
            if (value > last_max[part])
                return false;
            address->s_addr = htonl(high | value);
            return true;
        }
        if (*text++ != '.' || part == 3 || value > 0xff)
            return false;
        high |= value << (24 - 8 * part);
    }
    return false;
}

bool nd_parse_scope(const struct in6_addr *address, const char *text, uint32_t *scope) {
    bool local =
        IN6_IS_ADDR_LINKLOCAL(address) || IN6_IS_ADDR_MC_NODELOCAL(address) || IN6_IS_ADDR_MC_LINKLOCAL(address);
    if (local) {
        int saved = errno;
        unsigned index = if_nametoindex(text);
        errno = saved;
        if (index != 0) {
            *scope = index;
            return true;
        }
    }
    uint64_t value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (unsigned)(*text - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *scope = (uint32_t)value;
    return true;
}

bool nd_parse_ipv6(const char *text, struct in6_addr *address, uint32_t *scope, bool *scope_good) {
    char part[INET6_ADDRSTRLEN];
    const char *percent = strchr(text, '%');
    *scope_good = true;
    if (percent) {
        size_t size = (size_t)(percent - text);
        if (size >= sizeof part)
            return false;
        memcpy(part, text, size);
        part[size] = '\0';
        text = part;
    }
    if (inet_pton(AF_INET6, text, address) <= 0)
        return false;
    if (percent)
        *scope_good = nd_parse_scope(address, percent + 1, scope);
    return true;
}
