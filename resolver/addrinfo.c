#include "resolver/addrinfo.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/services.h"

/* glibc's table, in its order. */
static const struct row {
    int socktype, protocol;
    bool any_protocol, no_service, by_default;
    const char *name;
} rows[] = {
    {SOCK_STREAM, IPPROTO_TCP, false, false, true, "tcp"},
    {SOCK_DGRAM, IPPROTO_UDP, false, false, true, "udp"},
    {SOCK_DCCP, IPPROTO_DCCP, false, false, false, "dccp"},
    {SOCK_DGRAM, IPPROTO_UDPLITE, false, false, false, "udplite"},
    {SOCK_STREAM, IPPROTO_SCTP, false, false, false, "sctp"},
    {SOCK_SEQPACKET, IPPROTO_SCTP, false, false, false, "sctp"},
    {SOCK_RAW, 0, true, true, true, "raw"},
};
#define ROWS (sizeof rows / sizeof *rows)

static bool fits(const struct row *row, const struct addrinfo *hints) {
    return (hints->ai_socktype == 0 || hints->ai_socktype == row->socktype) &&
           (hints->ai_protocol == 0 || row->any_protocol || hints->ai_protocol == row->protocol);
}

static struct nd_type type_of(const struct row *row, const struct addrinfo *hints, in_port_t port) {
    return (struct nd_type){row->socktype, row->any_protocol ? hints->ai_protocol : row->protocol, port};
}

static int types_for_port(struct nd_type *types, in_port_t port, const struct row *chosen,
                          const struct addrinfo *hints) {
    int n = 0;
    if (chosen) {
        types[0] = type_of(chosen, hints, port);
        return 1;
    }
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].by_default)
            types[n++] = type_of(&rows[i], hints, port);
    return n;
}

static int types_for_name(struct nd_type *types, const char *service, const struct row *chosen,
                          const struct addrinfo *hints) {
    int n = 0;
    for (size_t i = 0; i < ROWS; i++) {
        if (chosen ? &rows[i] != chosen : rows[i].no_service)
            continue;
        int port = nd_service_port(service, rows[i].name);
        if (port >= 0)
            types[n++] = type_of(&rows[i], hints, htons((in_port_t)port));
    }
    return n ? n : EAI_SERVICE;
}

bool nd_service_number(const char *service, unsigned long *number) {
    const char *p = service;
    unsigned digit;
    for (*number = 0; (digit = (unsigned char)(*p - '0')) <= 9 && p < service + 9; p++)
        *number = *number * 10 + digit;
    if (*p == '\0')
        return true;
    char *end;
    *number = strtoul(service, &end, 10);
    return *end == '\0';
}

int nd_service_types(struct nd_type types[ND_MAX_TYPES], const char *service, const struct addrinfo *hints) {
    const struct row *chosen = NULL;
    if (hints->ai_socktype || hints->ai_protocol) {
        for (size_t i = 0; i < ROWS && !chosen; i++)
            if (fits(&rows[i], hints))
                chosen = &rows[i];
        if (!chosen)
            return hints->ai_socktype ? EAI_SOCKTYPE : EAI_SERVICE;
        if (service && chosen->no_service)
            return EAI_SERVICE;
    }
    if (!service)
        return types_for_port(types, 0, chosen, hints);
    unsigned long number;
    /* a number above 65535 is truncated; one that is negative in glibc's int is a name */
    if (nd_service_number(service, &number) && (int)number >= 0)
        return types_for_port(types, htons((in_port_t)number), chosen, hints);
    return types_for_name(types, service, chosen, hints);
}

static struct addrinfo *make_node(const struct nd_address *a, const struct nd_type *type, int flags) {
    socklen_t size = a->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    struct addrinfo *node = malloc(sizeof *node + size); /* calloc skips glibc's thread cache: 20 ns of 160 */
    if (!node)
        return NULL;
    *node = (struct addrinfo){.ai_flags = flags,
                              .ai_family = a->family,
                              .ai_socktype = type->socktype,
                              .ai_protocol = type->protocol,
                              .ai_addrlen = size,
                              .ai_addr = (struct sockaddr *)(node + 1)};
    if (a->family == AF_INET) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = type->port};
        memcpy(&v4.sin_addr, a->bytes, 4);
        memcpy(node->ai_addr, &v4, sizeof v4);
    } else {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = type->port, .sin6_scope_id = a->scope};
        memcpy(&v6.sin6_addr, a->bytes, 16);
        memcpy(node->ai_addr, &v6, sizeof v6);
    }
    return node;
}

int nd_make_list(struct addrinfo **list, const struct nd_address *addresses, size_t count, const struct nd_type *types,
                 int type_count, int flags, const char *canonical) {
    struct addrinfo *head = NULL, **end = &head;
    for (size_t i = 0; i < count; i++)
        for (int t = 0; t < type_count; t++) {
            *end = make_node(&addresses[i], &types[t], flags);
            if (!*end)
                goto no_memory;
            end = &(*end)->ai_next;
        }
    if (head && canonical && !(head->ai_canonname = strdup(canonical)))
        goto no_memory;
    *list = head;
    return 0;
no_memory:
    nd_free_list(head);
    return EAI_MEMORY;
}

void nd_free_list(struct addrinfo *list) {
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list->ai_canonname);
        free(list);
        list = next;
    }
}
