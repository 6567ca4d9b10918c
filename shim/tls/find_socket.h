/* Which socket a TLS object uses. The library can say, but to ask at each read and write costs as much as the rest of
 * the hook, and it may not know: where a program reads and writes itself (libcurl, OpenLDAP), the library knows only a
 * pointer of the program's. Then the first call on a socket during a handshake tells: a handshake begins with a write
 * or read, and the program makes no other call in between. */
#pragma once

#include "shim/socket/record.h"

/* A hash table of the sockets of objects: each entry holds the descriptor plus 1. Two objects that share an entry
 * replace each other's, and are searched for again. */
#define ND_TLS_SOCKET_BITS 14
extern _Atomic int nd_tls_socket_slots[1 << ND_TLS_SOCKET_BITS] __attribute__((visibility("hidden")));

/* The entry of an object. Objects within a megabyte of memory have neighbouring entries, one for each kilobyte, so that
 * a program with few of them writes to one page. Megabytes are spread over the table, since the heaps of threads begin
 * at similar addresses. */
static inline _Atomic int *nd_tls_socket_slot(const void *object) {
    const uintptr_t factor = (uintptr_t)0x9e3779b97f4a7c15U;
    uintptr_t part = ((uintptr_t)object >> 20) * factor >> (sizeof(uintptr_t) * 8 - ND_TLS_SOCKET_BITS);
    return &nd_tls_socket_slots[(part + ((uintptr_t)object >> 10)) % (1 << ND_TLS_SOCKET_BITS)];
}

/* The descriptor that `object` was found to use, with its record; -1 for none. It holds until the descriptor is closed:
 * an object that was freed leaves its descriptor to a new object at the same address, until that begins a handshake.
 * Async-signal-safe. */
static inline int nd_tls_socket_of(const void *object, struct nd_sock **sock) {
    int fd = atomic_load_explicit(nd_tls_socket_slot(object), memory_order_relaxed) - 1;
    *sock = fd >= 0 ? nd_sock_lookup(fd) : NULL;
    return *sock && (*sock)->tls == object && (nd_sock_flags(*sock) & ND_SOCK_CONNECTED) ? fd : -1;
}

/* Makes the next call on each connection that an object may use check for a scope that searches its socket. Reads the
 * record of each descriptor. Async-signal-safe; keeps errno. */
void nd_tls_socket_mark_candidates(void);

/* Stores that `object` uses `fd`. */
void nd_tls_socket_found(const void *object, int fd, struct nd_sock *sock);
