#include "resolver/hostent.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The unused part of a buffer. */
struct space {
    char *at, *end;
};

static void *allocate(struct space *space, size_t size, size_t alignment) {
    size_t pad = (size_t)(-(uintptr_t)space->at & (alignment - 1));
    if (pad > (size_t)(space->end - space->at) || size > (size_t)(space->end - space->at) - pad)
        return NULL;
    void *taken = space->at + pad;
    space->at += pad + size;
    return taken;
}

static char *allocate_string(struct space *space, const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = allocate(space, size, 1);
    return copy ? memcpy(copy, text, size) : NULL;
}

/* Fills `result` from `host`; all that it points to is in `buffer`. Returns 0 or ERANGE. */
static int make_hostent(struct hostent *result, const struct nd_host *host, int family, char *buffer, size_t size) {
    struct space space = {buffer, buffer + size};
    size_t length = family == AF_INET ? 4 : 16;
    char **addresses = allocate(&space, (host->count + 1) * sizeof *addresses, sizeof *addresses);
    char **aliases = allocate(&space, (host->name_count + 1) * sizeof *aliases, sizeof *aliases);
    char *bytes = allocate(&space, host->count * length, sizeof(uint32_t));
    char *name = allocate_string(&space, host->canonical ? host->canonical : "");
    if (!addresses || !aliases || !bytes || !name)
        return ERANGE;
    for (size_t i = 0; i < host->count; i++) {
        addresses[i] = memcpy(bytes + i * length, host->addresses[i].bytes, length);
    }
    for (size_t i = 0; i < host->name_count; i++)
        if (!(aliases[i] = allocate_string(&space, host->names[i])))
            return ERANGE;
    addresses[host->count] = NULL;
    aliases[host->name_count] = NULL;
    *result = (struct hostent){
        .h_name = name, .h_aliases = aliases, .h_addrtype = family, .h_length = (int)length, .h_addr_list = addresses};
    return 0;
}

/* As in glibc's getXXbyYY_r, errno is always set, also to 0, and is the return value. */
static int finish(const struct nd_host *host, int *h_err) {
    int code;
    if (!host->keeps_h_errno)
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
    if (host->status == ND_SUCCESS && make_hostent(entry, host, family, buffer, size) != 0) {
        *h_err = NETDB_INTERNAL;
        errno = ERANGE;
        return ERANGE;
    }
    if (host->status == ND_SUCCESS)
        *result = entry;
    return finish(host, h_err);
}

static bool grow(struct nd_static_hostent *storage, size_t size) {
    if (size <= storage->size)
        return true;
    struct nd_static_buffer *bigger = malloc(sizeof *bigger + size);
    if (!bigger)
        return false;
    bigger->older = storage->buffer; /* may still be read; together the buffers are at most twice the last one */
    storage->buffer = bigger;
    storage->size = size;
    return true;
}

static bool make_static(struct nd_static_hostent *storage, const struct nd_host *host, int family) {
    size_t size = storage->size ? storage->size : 1024;
    for (;; size *= 2) {
        if (!grow(storage, size))
            return false;
        if (make_hostent(&storage->entry, host, family, storage->buffer->bytes, storage->size) == 0)
            return true;
    }
}

struct hostent *nd_finish_static(struct nd_static_hostent *storage, const struct nd_host *host, int family) {
    int h_err = 0;
    finish(host, &h_err);
    if (h_err != 0)
        h_errno = h_err;
    if (host->status != ND_SUCCESS)
        return NULL;
    /* Two threads here at once are an error of the program, which must not damage the buffer. The loop is bounded, as a
     * forked child may find the lock held for ever. */
    for (int turn = 0; turn < 1000 && __atomic_exchange_n(&storage->lock, 1, __ATOMIC_ACQUIRE); turn++)
        sched_yield();
    bool made = make_static(storage, host, family);
    __atomic_store_n(&storage->lock, 0, __ATOMIC_RELEASE);
    if (!made) {
        h_errno = NETDB_INTERNAL;
        errno = ENOMEM;
    }
    return made ? &storage->entry : NULL;
}
