#include "shim/tlsseek.h"

/* Where to look for an object's socket; two objects may take turns in a place, and then both are sought. */
#define BITS 14
static _Atomic int places[1 << BITS]; /* fd + 1; untouched pages cost nothing */

/* Objects of the same megabyte lie in one part of the table, a kilobyte each, so that a program with few touches one page;
 * the parts are spread, as heaps of threads begin at like addresses. */
static _Atomic int *place_of(const void *object) {
    uintptr_t part = ((uintptr_t)object >> 20) * (uintptr_t)0x9e3779b97f4a7c15U >> (sizeof(uintptr_t) * 8 - BITS);
    return &places[(part + ((uintptr_t)object >> 10)) % (1 << BITS)];
}

int nd_tls_seek_known(const void *object, struct nd_sock **sock) {
    int fd = atomic_load_explicit(place_of(object), memory_order_relaxed) - 1;
    *sock = fd >= 0 ? nd_sock_peek(fd) : NULL;
    return *sock && (*sock)->tls == object && (nd_sock_flags(*sock) & ND_SOCK_CONNECTED) ? fd : -1;
}

void nd_tls_seek_mark(void) {
    const uint32_t kind = ND_SOCK_KNOWN | ND_SOCK_STREAM | ND_SOCK_INET;
    for (int fd = 0; fd <= nd_sock_highest(); fd++) {
        struct nd_sock *sock = nd_sock_peek(fd);
        uint32_t flags = sock ? nd_sock_flags(sock) : 0;
        if ((flags & kind) == kind && (flags & (ND_SOCK_CONNECTED | ND_SOCK_CONNECTING)) &&
            (!sock->tls || (flags & ND_SOCK_TLS_OWN)))
            nd_sock_change(fd, sock, ND_SOCK_SOUGHT, 0);
    }
}

void nd_tls_seek_found(const void *object, int fd, struct nd_sock *sock) {
    struct nd_sock *known;
    if (nd_tls_seek_known(object, &known) == fd)
        return;
    sock->tls = object;
    *place_of(object) = fd + 1;
}
