/* Which descriptor is in which epoll set, and the descriptors of one set. Everything here is async-signal-safe. */
#ifndef ND_WAIT_EPOLL_MEMBER_H
#define ND_WAIT_EPOLL_MEMBER_H

#include <sys/epoll.h>

#include "shim/socket/record.h"

/* The record of a descriptor that is known as an epoll set's; else NULL. */
static inline struct nd_sock *nd_epoll_set_of(int epfd) {
    struct nd_sock *sock = nd_sock_lookup(epfd);
    return sock && (nd_sock_flags(sock) & ND_SOCK_EPOLL) ? sock : NULL;
}

/* The descriptor whose record holds what is known of the set: another one where `epfd` is a copy (dup). */
int nd_epoll_home(int epfd);

/* A descriptor is about to be closed: where the set has others, one of them takes over. False where the set ends, or `epfd` was
 * not its home. */
bool nd_epoll_handed_over(int epfd);

/* What is known of `sock` in the set whose home is `epfd` and whose record `set`, or NULL. */
static inline struct nd_membership *nd_epoll_member(struct nd_sock *sock, int epfd, const struct nd_sock *set) {
    const uint32_t generation = set->generation;
    for (int i = 0; i < ND_MEMBERSHIPS; i++)
        if (sock->in[i].set == epfd + 1 && sock->in[i].generation == generation)
            return &sock->in[i];
    return NULL;
}

static inline struct nd_membership *nd_epoll_membership(struct nd_sock *sock, int epfd) {
    const struct nd_sock *set = nd_sock_lookup(epfd);
    return set ? nd_epoll_member(sock, epfd, set) : NULL;
}

/* Of the sets in a set, each its descriptor plus 1, `from` becomes `to`: 0 is a free place, or makes one. */
void nd_epoll_note_inner(struct nd_epoll *set, int from, int to);

/* The record of `fd` if it is a live socket of the set, and what is known of it there; brought up to date. Else NULL. */
struct nd_sock *nd_epoll_member_of(int epfd, int fd, struct nd_membership **member);

/* Whether a limit holds for a socket, or an inner set, as it is waited for. One-shots are followed in any case: that they are
 * over is only known from what was delivered. */
static inline bool nd_epoll_is_timed(int fd, const struct nd_sock *sock, uint32_t events) {
    if (__builtin_expect(nd_sock_flags(sock) & ND_SOCK_EPOLL, 0))
        return nd_sock_lookup(nd_epoll_home(fd))->epoll.timed;
    return (nd_watch_exact(fd) & nd_watch_events((short)events)) || (events & EPOLLONESHOT);
}

#endif
