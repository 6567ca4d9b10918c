/* Which descriptor is in which epoll set, and the descriptors of one set. Everything here is async-signal-safe. */
#ifndef ND_EPOLLMEMBER_H
#define ND_EPOLLMEMBER_H

#include "shim/sockets.h"

/* The record of a descriptor that is known as an epoll set's; else NULL. */
static inline struct nd_sock *nd_epoll_set_of(int epfd) {
    struct nd_sock *sock = nd_sock_peek(epfd);
    return sock && (nd_sock_flags(sock) & ND_SOCK_EPOLL) ? sock : NULL;
}

/* The descriptor whose record holds what is known of the set: another one where `epfd` is a copy (dup). */
int nd_epoll_home(int epfd);

/* A descriptor is about to be closed: where the set has others, one of them takes over. False where the set ends, or `epfd` was
 * not its home. */
bool nd_epoll_handed_over(int epfd);

/* What is known of `sock` in the set whose home is `epfd`, or NULL. */
static inline struct nd_membership *nd_epoll_membership(struct nd_sock *sock, int epfd) {
    const struct nd_sock *set = nd_sock_peek(epfd);
    for (int i = 0; set && i < ND_MEMBERSHIPS; i++)
        if (sock->in[i].set == epfd + 1 && sock->in[i].generation == set->generation)
            return &sock->in[i];
    return NULL;
}

/* Of the sets in a set, each its descriptor plus 1, `from` becomes `to`: 0 is a free place, or makes one. */
void nd_epoll_note_inner(struct nd_epoll *set, int from, int to);

#endif
