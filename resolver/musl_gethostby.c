#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/musl.h"
#include "resolver/resolv_conf.h"

static size_t padding_of(const char *buffer) {
    return -(uintptr_t)buffer & (sizeof(char *) - 1);
}

/* What the function returns for an EAI_ code, with its h_errno. */
static int fail(int code, int *h_err) {
    switch (code) {
    case EAI_NONAME:
        *h_err = HOST_NOT_FOUND;
        return nd_musl_has_tcp() ? 0 : ENOENT;
    case EAI_NODATA:
        *h_err = NO_DATA;
        return 0;
    case EAI_AGAIN:
        *h_err = TRY_AGAIN;
        return EAGAIN;
    case EAI_SYSTEM:
        *h_err = NO_RECOVERY;
        return errno;
    default:
        *h_err = NO_RECOVERY;
        return EBADMSG;
    }
}

/* Copies a text to *at, which is moved behind it. */
static char *put(char **at, const char *text) {
    char *copy = *at;
    const size_t size = strlen(text) + 1;
    memcpy(copy, text, size);
    *at += size;
    return copy;
}

/* Writes the result into the buffer, and returns 0 or ERANGE. */
static int write_named(const struct nd_musl_address *found, size_t count, const char *canonical, const char *name,
                       int family, struct hostent *entry, char *buffer, size_t size) {
    const size_t length = family == AF_INET6 ? 16 : 4, padding = padding_of(buffer);
    const size_t need = 4 * sizeof(char *) + (count + 1) * (sizeof(char *) + length) + strlen(name) + 1 +
                        strlen(canonical) + 1 + padding;
    if (need > size)
        return ERANGE;
    entry->h_addrtype = family;
    entry->h_length = (int)length;
    entry->h_aliases = (char **)(void *)(buffer + padding);
    entry->h_addr_list = entry->h_aliases + 3;
    char *at = (char *)(entry->h_addr_list + count + 1);
    for (size_t i = 0; i < count; i++, at += length)
        entry->h_addr_list[i] = memcpy(at, found[i].bytes, length);
    entry->h_addr_list[count] = NULL;
    entry->h_name = entry->h_aliases[0] = put(&at, canonical);
    entry->h_aliases[1] = strcmp(canonical, name) != 0 ? put(&at, name) : NULL;
    entry->h_aliases[2] = NULL;
    return 0;
}

int nd_musl_gethostbyname2_r(const char *name, int family, struct hostent *entry, char *buffer, size_t size,
                             struct hostent **result, int *h_err, struct nd_lookup *lookup) {
    struct nd_musl_address found[ND_MUSL_ADDRESSES];
    char canonical[ND_MUSL_NAME];
    nd_lookup_reset(lookup);
    *result = NULL;
    const int count = nd_musl_find(found, canonical, name, family, AI_CANONNAME, lookup);
    if (count < 0)
        return fail(count, h_err);
    const int code = write_named(found, (size_t)count, canonical, name, family, entry, buffer, size);
    if (!code)
        *result = entry;
    return code;
}

/* False: no address. */
static bool set_address(union nd_server *a, const void *address, socklen_t length, int family) {
    memset(a, 0, sizeof *a);
    a->sa.sa_family = (sa_family_t)family;
    if (family == AF_INET6 && length == 16)
        memcpy(&a->v6.sin6_addr, address, length);
    else if (family == AF_INET && length == 4)
        memcpy(&a->v4.sin_addr, address, length);
    else
        return false;
    return true;
}

static int find_name(char name[ND_MUSL_NAME], const union nd_server *a, struct nd_lookup *lookup) {
    const socklen_t size = a->sa.sa_family == AF_INET6 ? sizeof a->v6 : sizeof a->v4;
    return nd_musl_getnameinfo(&a->sa, size, name, ND_MUSL_NAME, NULL, 0, 0, lookup);
}

/* What there must be more than for the name of an address. */
static size_t room_of_address(const char *buffer, socklen_t length) {
    return padding_of(buffer) + 4 * sizeof(char *) + length;
}

static int write_addressed(const char *name, const void *address, socklen_t length, int family, struct hostent *entry,
                           char *buffer, size_t size) {
    if (room_of_address(buffer, length) + strlen(name) + 1 > size)
        return ERANGE;
    entry->h_addr_list = (char **)(void *)(buffer + padding_of(buffer));
    entry->h_aliases = entry->h_addr_list + 2;
    char *at = (char *)(entry->h_aliases + 2);
    entry->h_addr_list[0] = memcpy(at, address, length);
    entry->h_addr_list[1] = NULL;
    at += length;
    entry->h_name = entry->h_aliases[0] = put(&at, name);
    entry->h_aliases[1] = NULL;
    entry->h_addrtype = family;
    entry->h_length = (int)length;
    return 0;
}

int nd_musl_gethostbyaddr_r(const void *address, socklen_t length, int family, struct hostent *entry, char *buffer,
                            size_t size, struct hostent **result, int *h_err, struct nd_lookup *lookup) {
    union nd_server a;
    char name[ND_MUSL_NAME];
    nd_lookup_reset(lookup);
    *result = NULL;
    if (!set_address(&a, address, length, family)) {
        *h_err = NO_RECOVERY;
        return EINVAL;
    }
    if (size <= room_of_address(buffer, length))
        return ERANGE;
    int code = find_name(name, &a, lookup);
    if (code)
        return fail(code == EAI_NONAME ? EAI_FAIL : code, h_err);
    code = write_addressed(name, address, length, family, entry, buffer, size);
    if (!code)
        *result = entry;
    return code;
}

enum { FIRST_SIZE = 127 };

/* The result of gethostbyname2 and of gethostbyaddr: one allocation with its texts, and larger at each turn. */
static struct hostent *grow(struct hostent *old, size_t *size) {
    free(old);
    *size = *size ? *size * 2 + 1 : FIRST_SIZE;
    struct hostent *h = malloc(*size);
    if (!h)
        h_errno = NO_RECOVERY;
    return h;
}

struct hostent *nd_musl_gethostbyname2(const char *name, int family, struct nd_lookup *lookup) {
    static struct hostent *h;
    struct nd_musl_address found[ND_MUSL_ADDRESSES];
    char canonical[ND_MUSL_NAME];
    size_t size = 0;
    nd_lookup_reset(lookup);
    const int count = nd_musl_find(found, canonical, name, family, AI_CANONNAME, lookup);
    if (count < 0) {
        fail(count, &h_errno);
        return NULL;
    }
    do {
        if (!(h = grow(h, &size)))
            return NULL;
    } while (write_named(found, (size_t)count, canonical, name, family, h, (char *)(h + 1), size - sizeof *h) != 0);
    return h;
}

struct hostent *nd_musl_gethostbyaddr(const void *address, socklen_t length, int family, struct nd_lookup *lookup) {
    static struct hostent *h;
    union nd_server a;
    char name[ND_MUSL_NAME];
    size_t size = 0;
    nd_lookup_reset(lookup);
    if (!set_address(&a, address, length, family)) {
        h_errno = NO_RECOVERY;
        return NULL;
    }
    const int code = find_name(name, &a, lookup);
    if (code) {
        fail(code == EAI_NONAME ? EAI_FAIL : code, &h_errno);
        return NULL;
    }
    do {
        if (!(h = grow(h, &size)))
            return NULL;
    } while (write_addressed(name, address, length, family, h, (char *)(h + 1), size - sizeof *h) != 0);
    return h;
}
