#include "resolver/sort.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resolver/gai_conf.h"

struct entry {
    struct addrinfo *info;
    struct nd_destination d;
};

/* The UDP socket with which the kernel is asked for source addresses; nothing is sent. An IPv6 socket is used for IPv4,
 * too, where the kernel allows it. */
struct probe {
    int fd, family;
};

static void open_probe(struct probe *p, int family) {
    if (p->fd >= 0)
        close(p->fd);
    p->family = family;
    p->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_IP);
}

static bool connect_probe(struct probe *p, const struct addrinfo *info, union nd_socket_address *source) {
    for (;;) {
        socklen_t size = sizeof source->v6;
        if (p->fd >= 0 && connect(p->fd, info->ai_addr, info->ai_addrlen) == 0 &&
            getsockname(p->fd, &source->sa, &size) == 0)
            return true;
        if (errno != EAFNOSUPPORT || p->family != AF_INET6 || info->ai_family != AF_INET)
            return false;
        open_probe(p, AF_INET); /* IPv6 sockets are for IPv6 only here */
    }
}

/* The source address in the form of nd_interfaces_find. */
static void interface_key(uint8_t key[16], const struct addrinfo *info, const struct probe *p,
                          const union nd_socket_address *source) {
    if (info->ai_family == AF_INET && p->family == AF_INET) {
        static const uint8_t mapped_loopback[16] = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1};
        memcpy(key, mapped_loopback, 16);
        if (ntohl(source->v4.sin_addr.s_addr) >> 24 != 127) /* a source on lo need not be lo's own address */
            memcpy(key + 12, &source->v4.sin_addr, 4);
    } else {
        memcpy(key, &source->v6.sin6_addr, 16);
    }
}

static void find_source(struct entry *e, struct probe *p, const struct nd_interfaces *interfaces) {
    const struct addrinfo *info = e->info;
    struct nd_destination *d = &e->d;
    if (p->fd < 0 || (p->family == AF_INET && info->ai_family == AF_INET6)) {
        open_probe(p, info->ai_family);
    } else {
        struct sockaddr none = {.sa_family = AF_UNSPEC};
        connect(p->fd, &none, sizeof none);
    }
    if (!connect_probe(p, info, &d->source))
        return;
    d->has_source = true;
    uint8_t key[16];
    interface_key(key, info, p, &d->source);
    const struct nd_interface_address *found = nd_interfaces_find(interfaces, key);
    if (found) {
        d->deprecated = found->deprecated;
        d->home = found->home;
        d->prefix_length = found->prefix_length;
        d->index = found->index;
    }
    if (info->ai_family == AF_INET && p->family == AF_INET6) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        memcpy(&v4.sin_addr, d->source.v6.sin6_addr.s6_addr + 12, 4);
        d->source.v4 = v4;
    }
}

static void find_sources(struct entry *entries, size_t count, const struct nd_interfaces *interfaces) {
    struct probe p = {.fd = -1};
    for (size_t i = 0; i < count; i++) {
        struct entry *e = &entries[i];
        e->d = (struct nd_destination){.address = e->info->ai_addr, .native = true, .index = UINT32_MAX};
        const struct addrinfo *last = i ? entries[i - 1].info : NULL;
        if (last && last->ai_addrlen == e->info->ai_addrlen &&
            memcmp(last->ai_addr, e->info->ai_addr, e->info->ai_addrlen) == 0) { /* only the socket type differs */
            e->d = entries[i - 1].d;
            e->d.address = e->info->ai_addr;
        } else {
            find_source(e, &p, interfaces);
        }
    }
    if (p.fd >= 0)
        close(p.fd);
}

static void find_native(struct entry *entries, size_t count, nd_time deadline) {
    uint32_t *indices = malloc(count * sizeof *indices);
    int *native = malloc(count * sizeof *native);
    if (indices && native) {
        for (size_t i = 0; i < count; i++)
            indices[i] = entries[i].d.index;
        nd_interfaces_native(indices, native, count, deadline);
        for (size_t i = 0; i < count; i++)
            entries[i].d.native = native[i] != 0;
    }
    free(indices);
    free(native);
}

/* A merge sort that splits where glibc's qsort does: the rules are not transitive in every case (rule 9), and then the
 * order of comparisons decides. */
static void merge_sort(struct entry *a, size_t n, struct entry *space, const struct nd_sort_tables *tables,
                       bool *native_matters) {
    if (n <= 1)
        return;
    size_t n1 = n / 2, n2 = n - n1;
    struct entry *b1 = a, *b2 = a + n1, *out = space;
    merge_sort(b1, n1, space, tables, native_matters);
    merge_sort(b2, n2, space, tables, native_matters);
    while (n1 > 0 && n2 > 0)
        if (nd_compare_destinations(&b1->d, &b2->d, tables, native_matters) <= 0)
            *out++ = *b1++, n1--;
        else
            *out++ = *b2++, n2--;
    memcpy(out, b1, n1 * sizeof *out); /* what is left of the second half is in place */
    memcpy(a, space, (n - n2) * sizeof *a);
}

static void relink(struct addrinfo **list, const struct entry *entries, size_t count) {
    if (count == 0)
        return;
    char *canonical = (*list)->ai_canonname;
    (*list)->ai_canonname = NULL;
    for (size_t i = 0; i < count; i++) {
        *list = entries[i].info;
        list = &entries[i].info->ai_next;
    }
    *list = NULL;
    entries[0].info->ai_canonname = canonical;
}

void nd_sort_addresses(struct addrinfo **list, const struct nd_interfaces *interfaces, nd_time deadline) {
    int saved = errno;
    size_t count = 0;
    for (struct addrinfo *i = *list; i; i = i->ai_next)
        count++;
    struct entry *entries = malloc(3 * count * sizeof *entries); /* the list, its original order, space to merge */
    if (!entries)
        return;
    struct nd_interfaces own = {0};
    if (!interfaces) {
        nd_interfaces_get(&own, deadline);
        interfaces = &own;
    }
    size_t n = 0;
    for (struct addrinfo *i = *list; i; i = i->ai_next)
        entries[n++].info = i;
    find_sources(entries, count, interfaces);
    memcpy(entries + count, entries, count * sizeof *entries);
    struct nd_gai_conf conf;
    nd_gai_conf_get(&conf);
    bool native_matters = false;
    merge_sort(entries, count, entries + 2 * count, &conf.tables, &native_matters);
    if (native_matters) { /* rare: the kind of the interfaces is read only when it decides */
        memcpy(entries, entries + count, count * sizeof *entries);
        find_native(entries, count, deadline);
        merge_sort(entries, count, entries + 2 * count, &conf.tables, &native_matters);
    }
    nd_gai_conf_put(&conf);
    relink(list, entries, count);
    nd_interfaces_free(&own);
    free(entries);
    errno = saved;
}
