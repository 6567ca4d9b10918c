#include "resolver/hostent.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A buffer given out from the front. */
struct room {
    char *at, *end;
};

static void *take(struct room *room, size_t size, size_t alignment) {
    size_t pad = (size_t)(-(uintptr_t)room->at & (alignment - 1));
    if (pad > (size_t)(room->end - room->at) || size > (size_t)(room->end - room->at) - pad)
        return NULL;
    void *taken = room->at + pad;
    room->at += pad + size;
    return taken;
}

static char *take_string(struct room *room, const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = take(room, size, 1);
    return copy ? memcpy(copy, text, size) : NULL;
}

int nd_make_hostent(struct hostent *result, const struct nd_host *host, int family, char *buffer, size_t size) {
    struct room room = {buffer, buffer + size};
    size_t length = family == AF_INET ? 4 : 16;
    char **addresses = take(&room, (host->count + 1) * sizeof *addresses, sizeof *addresses);
    char **aliases = take(&room, (host->name_count + 1) * sizeof *aliases, sizeof *aliases);
    char *bytes = take(&room, host->count * length, sizeof(uint32_t));
    char *name = take_string(&room, host->canonical ? host->canonical : "");
    if (!addresses || !aliases || !bytes || !name)
        return ERANGE;
    for (size_t i = 0; i < host->count; i++) {
        addresses[i] = memcpy(bytes + i * length, host->addresses[i].bytes, length);
    }
    for (size_t i = 0; i < host->name_count; i++)
        if (!(aliases[i] = take_string(&room, host->names[i])))
            return ERANGE;
    addresses[host->count] = NULL;
    aliases[host->name_count] = NULL;
    *result = (struct hostent){
        .h_name = name, .h_aliases = aliases, .h_addrtype = family, .h_length = (int)length, .h_addr_list = addresses};
    return 0;
}

/* glibc's getXXbyYY_r: errno is set, to 0 also, and is the return value. */
static int finish(const struct nd_host *host, int *h_err) {
    int code;
    *h_err = host->h_err;
    if (host->status == ND_SUCCESS || host->status == ND_NOTFOUND)
        code = 0;
    else if (host->status == ND_TRYAGAIN && host->h_err != NETDB_INTERNAL)
        code = EAGAIN;
    else
        code = host->sys_err ? host->sys_err : EAGAIN;
    errno = code;
    return code;
}

int nd_finish_hostent(const struct nd_host *host, int family, struct hostent *entry, char *buffer, size_t size,
                      struct hostent **result, int *h_err) {
    *result = NULL;
    if (host->status == ND_SUCCESS && nd_make_hostent(entry, host, family, buffer, size) != 0) {
        *h_err = NETDB_INTERNAL;
        errno = ERANGE;
        return ERANGE;
    }
    if (host->status == ND_SUCCESS)
        *result = entry;
    return finish(host, h_err);
}

static bool grow(struct nd_static_hostent *place, size_t size) {
    if (size <= place->size)
        return true;
    struct nd_static_buffer *bigger = malloc(sizeof *bigger + size);
    if (!bigger)
        return false;
    bigger->older = place->buffer; /* for whoever reads it: the sum of all is at most twice the last */
    place->buffer = bigger;
    place->size = size;
    return true;
}

static bool make_static(struct nd_static_hostent *place, const struct nd_host *host, int family) {
    size_t size = place->size ? place->size : 1024;
    for (;; size *= 2) {
        if (!grow(place, size))
            return false;
        if (nd_make_hostent(&place->entry, host, family, place->buffer->bytes, place->size) == 0)
            return true;
    }
}

struct hostent *nd_finish_static(struct nd_static_hostent *place, const struct nd_host *host, int family) {
    int h_err;
    finish(host, &h_err);
    if (h_err != 0)
        h_errno = h_err;
    if (host->status != ND_SUCCESS)
        return NULL;
    /* Two threads here at once are a mistake of the program's; this keeps it from becoming ours. Bounded, for a forked
     * child may find the lock held for ever. */
    for (int turn = 0; turn < 1000 && __atomic_exchange_n(&place->lock, 1, __ATOMIC_ACQUIRE); turn++)
        sched_yield();
    bool made = make_static(place, host, family);
    __atomic_store_n(&place->lock, 0, __ATOMIC_RELEASE);
    if (!made) {
        h_errno = NETDB_INTERNAL;
        errno = ENOMEM;
    }
    return made ? &place->entry : NULL;
}
