#include "resolver/host.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void nd_host_init(struct nd_host *host) {
    host->status = ND_NOTFOUND;
    host->h_err = HOST_NOT_FOUND;
    host->sys_err = 0;
    host->addresses = NULL;
    host->names = NULL;
    host->canonical = NULL;
    host->count = host->name_count = 0;
    host->no_memory = host->keeps_h_errno = false;
}

void nd_host_free(struct nd_host *host) {
    for (size_t i = 0; i < host->name_count; i++)
        free(host->names[i]);
    free(host->names);
    if (host->addresses != host->few)
        free(host->addresses);
    free(host->canonical);
    nd_host_init(host);
}

void nd_host_keep_h_errno(struct nd_host *host, int before) {
    if (!host->keeps_h_errno || before == 0)
        return;
    host->h_err = before;
    host->keeps_h_errno = false;
}

#define FEW (sizeof((struct nd_host *)0)->few / sizeof(struct nd_address))

/* Returns the array with space for one more element; its capacity doubles at each power of two from 4 on. */
static void *grow(void *array, size_t count, size_t size) {
    if (count == 0)
        return realloc(array, 4 * size);
    if (count < 4 || (count & (count - 1)) != 0)
        return array;
    return realloc(array, 2 * count * size);
}

void nd_host_add_address(struct nd_host *host, int family, const void *bytes) {
    struct nd_address *a = host->few;
    if (host->count >= FEW) {
        bool first = host->addresses == host->few;
        a = grow(first ? NULL : host->addresses, host->count, sizeof *a);
        if (!a) {
            host->no_memory = true;
            return;
        }
        if (first)
            memcpy(a, host->few, sizeof host->few);
    }
    host->addresses = a;
    a += host->count++;
    *a = (struct nd_address){.family = family};
    memcpy(a->bytes, bytes, family == AF_INET ? 4 : 16);
}

void nd_host_add_name(struct nd_host *host, const char *name, size_t length) {
    char **names = grow(host->names, host->name_count, sizeof *names);
    char *copy = names ? strndup(name, length) : NULL;
    if (names)
        host->names = names;
    if (copy)
        host->names[host->name_count++] = copy;
    else
        host->no_memory = true;
}

void nd_host_set_canonical(struct nd_host *host, const char *name, size_t length) {
    char *copy = strndup(name, length);
    if (!copy)
        host->no_memory = true;
    free(host->canonical);
    host->canonical = copy;
}
