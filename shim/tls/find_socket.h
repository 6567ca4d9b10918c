/* Which socket a TLS object talks through. Its library says, but to ask at each read and write costs as much as all else
 * together, and it may not know: programs may do the reading and writing themselves (libcurl, OpenLDAP), and the library knows
 * some pointer of theirs only. The first call of a handshake tells then: whoever begins one writes or reads first, before
 * anything else of the program's can come between. */
#ifndef ND_TLS_FIND_SOCKET_H
#define ND_TLS_FIND_SOCKET_H

#include "shim/socket/record.h"

/* Where to look for an object's socket: its descriptor plus 1. Two objects may take turns in a place, and then both are
 * sought. */
#define ND_TLS_SOCKET_BITS 14
extern _Atomic int nd_tls_socket_slots[1 << ND_TLS_SOCKET_BITS] __attribute__((visibility("hidden")));

/* Objects of the same megabyte lie in one part of the table, a kilobyte each, so that a program with few touches one page;
 * the parts are spread, as heaps of threads begin at like addresses. */
static inline _Atomic int *nd_tls_socket_slot(const void *object) {
    const uintptr_t factor = (uintptr_t)0x9e3779b97f4a7c15U;
    uintptr_t part = ((uintptr_t)object >> 20) * factor >> (sizeof(uintptr_t) * 8 - ND_TLS_SOCKET_BITS);
    return &nd_tls_socket_slots[(part + ((uintptr_t)object >> 10)) % (1 << ND_TLS_SOCKET_BITS)];
}

/* The descriptor that `object` was found to talk through, -1 for none, and its record: what was found holds until that is closed. One whose
 * object is gone may still be given for another object at the same address, which has made no handshake yet.
 * Async-signal-safe. */
static inline int nd_tls_socket_of(const void *object, struct nd_sock **sock) {
    int fd = atomic_load_explicit(nd_tls_socket_slot(object), memory_order_relaxed) - 1;
    *sock = fd >= 0 ? nd_sock_lookup(fd) : NULL;
    return *sock && (*sock)->tls == object && (nd_sock_flags(*sock) & ND_SOCK_CONNECTED) ? fd : -1;
}

/* Has the next call on each connection that may be the one looked at. A byte of memory for each descriptor is read.
 * Async-signal-safe; keeps errno. */
void nd_tls_socket_mark_candidates(void);

/* `object` talks through `fd`. */
void nd_tls_socket_found(const void *object, int fd, struct nd_sock *sock);

#endif
