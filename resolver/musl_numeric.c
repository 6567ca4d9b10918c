#include <arpa/inet.h>
#include <limits.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/musl.h"

void nd_musl_as_v6(unsigned char to[16], int family, const void *bytes) {
    if (family != AF_INET) {
        memcpy(to, bytes, 16);
        return;
    }
    memset(to, 0, 10);
    to[10] = to[11] = 0xff;
    memcpy(to + 12, bytes, 4);
}

socklen_t nd_musl_sockaddr(union nd_server *to, const struct nd_musl_address *address, unsigned short port) {
    memset(to, 0, sizeof *to);
    to->sa.sa_family = (sa_family_t)address->family;
    if (address->family == AF_INET) {
        to->v4.sin_port = htons(port);
        memcpy(&to->v4.sin_addr, address->bytes, 4);
        return sizeof to->v4;
    }
    to->v6.sin6_port = htons(port);
    to->v6.sin6_scope_id = address->scope;
    memcpy(&to->v6.sin6_addr, address->bytes, 16);
    return sizeof to->v6;
}

static bool has_links(const struct in6_addr *a) {
    return IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_MC_LINKLOCAL(a);
}

/* The number or interface behind '%'. */
static bool parse_scope(const struct in6_addr *a, const char *text, uint32_t *scope) {
    char *end = (char *)(uintptr_t)text;
    unsigned long long number = 0;
    if (*text >= '0' && *text <= '9')
        number = strtoull(text, &end, 10);
    else if (!*text) /* "%" alone */
        end = (char *)(uintptr_t)(text - 1);
    if (*end) {
        if (!has_links(a))
            return false;
        number = if_nametoindex(text);
        if (!number)
            return false;
    }
    *scope = (uint32_t)number;
    return number <= UINT_MAX;
}

int nd_musl_numeric(struct nd_musl_address *address, const char *text, int family) {
    struct in_addr v4;
    struct in6_addr v6;
    char name[64];
    if (inet_aton(text, &v4) > 0) {
        if (family == AF_INET6)
            return nd_musl_no_data();
        *address = (struct nd_musl_address){.family = AF_INET};
        memcpy(address->bytes, &v4, sizeof v4);
        return 1;
    }
    const char *percent = strchr(text, '%');
    if (percent && (size_t)(percent - text) < sizeof name) {
        memcpy(name, text, (size_t)(percent - text));
        name[percent - text] = '\0';
        text = name;
    }
    if (inet_pton(AF_INET6, text, &v6) <= 0)
        return 0;
    if (family == AF_INET)
        return nd_musl_no_data();
    *address = (struct nd_musl_address){.family = AF_INET6};
    memcpy(address->bytes, &v6, sizeof v6);
    return !percent || parse_scope(&v6, percent + 1, &address->scope) ? 1 : EAI_NONAME;
}
