#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "resolver/musl.h"

#pragma weak pthread_setcancelstate

/* A node as musl has it since 1.1.20. Its freeaddrinfo finds the block by `slot`, and frees it with the last of its
 * `references` nodes. */
struct block {
    struct addrinfo node;
    union nd_server address;
    volatile int lock[1];
    short slot, references;
};

enum { FLAGS = AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_V4MAPPED | AI_ALL | AI_ADDRCONFIG | AI_NUMERICSERV };

static int check_hints(const struct addrinfo *hints) {
    if (hints->ai_flags & ~FLAGS)
        return EAI_BADFLAGS;
    const int family = hints->ai_family;
    return family == AF_UNSPEC || family == AF_INET || family == AF_INET6 ? 0 : EAI_FAMILY;
}

/* Whether the loopback address of the family can be reached: 0, or errno. */
static int try_family(int family) {
    const struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = 65535, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = 65535, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const bool is_v4 = family == AF_INET;
    int state = 0;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
    if (fd < 0)
        return errno;
    if (pthread_setcancelstate)
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    const int result =
        connect(fd, is_v4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6, is_v4 ? sizeof v4 : sizeof v6);
    const int error = result == 0 ? 0 : errno;
    close(fd);
    if (pthread_setcancelstate)
        pthread_setcancelstate(state, NULL);
    return error;
}

/* AI_ADDRCONFIG. Leaves the family out of *family that the host has not; *no_family: it was the one asked for. */
static int narrow_family(int *family, bool *no_family) {
    static const int families[2] = {AF_INET, AF_INET6};
    for (int i = 0; i < 2; i++) {
        if (*family == families[1 - i])
            continue;
        const int error = try_family(families[i]);
        switch (error) {
        case 0:
            continue;
        case EADDRNOTAVAIL:
        case EAFNOSUPPORT:
        case EHOSTUNREACH:
        case ENETDOWN:
        case ENETUNREACH:
            break;
        default:
            errno = error;
            return EAI_SYSTEM;
        }
        if (*family == families[i]) {
            if (!nd_musl_has_tcp())
                return EAI_NONAME;
            *no_family = true;
        }
        *family = families[1 - i];
    }
    return 0;
}

static void fill_node(struct block *b, const struct nd_musl_address *a, const struct nd_musl_service *s,
                      char *canonical) {
    b->node = (struct addrinfo){.ai_family = a->family,
                                .ai_socktype = s->socktype,
                                .ai_protocol = s->protocol,
                                .ai_addrlen = nd_musl_sockaddr(&b->address, a, s->port),
                                .ai_addr = &b->address.sa,
                                .ai_canonname = canonical};
}

static struct addrinfo *make_list(const struct nd_musl_address *addresses, int address_count,
                                  const struct nd_musl_service *services, int service_count, const char *canonical) {
    const size_t count = (size_t)address_count * (size_t)service_count, length = strlen(canonical);
    struct block *blocks = calloc(1, count * sizeof *blocks + length + 1);
    if (!blocks)
        return NULL;
    char *name = length ? memcpy(blocks + count, canonical, length + 1) : NULL;
    for (size_t i = 0; i < count; i++) {
        const size_t each = (size_t)service_count;
        fill_node(&blocks[i], &addresses[i / each], &services[i % each], name);
        blocks[i].slot = (short)i;
        if (i > 0)
            blocks[i - 1].node.ai_next = &blocks[i].node;
    }
    blocks[0].references = (short)count;
    return &blocks[0].node;
}

int nd_musl_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res,
                        struct nd_lookup *lookup) {
    struct nd_musl_service services[ND_MUSL_SERVICES];
    struct nd_musl_address addresses[ND_MUSL_ADDRESSES];
    char canonical[ND_MUSL_NAME];
    const struct addrinfo none = {.ai_family = AF_UNSPEC};
    bool no_family = false;
    nd_lookup_reset(lookup);
    if (!node && !service)
        return EAI_NONAME;
    if (!hints)
        hints = &none;
    int family = hints->ai_family, code = check_hints(hints);
    if (!code && hints->ai_flags & AI_ADDRCONFIG)
        code = narrow_family(&family, &no_family);
    if (code)
        return code;
    const int service_count =
        nd_musl_services(services, service, hints->ai_protocol, hints->ai_socktype, hints->ai_flags);
    if (service_count < 0)
        return service_count;
    const int count = nd_musl_find(addresses, canonical, node, family, hints->ai_flags, lookup);
    if (count < 0)
        return count;
    if (no_family)
        return EAI_NODATA;
    *res = make_list(addresses, count, services, service_count, canonical);
    return *res ? 0 : EAI_MEMORY;
}
