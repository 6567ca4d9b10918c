/* Which descriptors are members of which epoll sets, and which descriptors are duplicates of one set. Everything here
 * is async-signal-safe. */
#pragma once

#include <sys/epoll.h>

#include "shim/socket/record.h"

/* The record of `epfd` if it is known as an epoll set, else NULL. */
static inline struct nd_sock *nd_epoll_set_of(int epfd) {
    struct nd_sock *sock = nd_sock_lookup(epfd);
    return sock && (nd_sock_flags(sock) & ND_SOCK_EPOLL) ? sock : NULL;
}

/* The home of a set is the descriptor whose record holds what is known of it: not `epfd` itself where that is a
 * duplicate (dup). */
int nd_epoll_home(int epfd);

/* Called before the set's descriptor `epfd` is closed. If it is the home and the set has other descriptors, one of
 * those becomes the home. The registrations of `epfd` in other sets go to the home. Returns false if it has none, so
 * that the set ends, or if `epfd` is not the home. */
bool nd_epoll_handed_over(int epfd);

/* The membership of `sock` in the set whose home is `epfd` and whose record is `set`, or NULL. */
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

/* Replaces `from` by `to` in the list of the sets that are members of `set`. An entry is a descriptor plus 1; 0 is a
 * free entry: as `from` it adds a set, as `to` it removes one. */
void nd_epoll_note_inner(struct nd_epoll *set, int from, int to);

/* The kernel does not let sets be nested deeper. */
#define ND_EPOLL_DEEPEST 5

/* The record of the next member of the set whose home is `epfd` and whose record is `set`, or NULL after the last. *fd,
 * which is -1 at first, becomes its descriptor. Inner sets and sockets that were ended are members, too. */
struct nd_sock *nd_epoll_next_member(int epfd, const struct nd_sock *set, int *fd, struct nd_membership **member);

/* The record of `fd` and its membership in the set, if it is a live socket that is a member; else NULL. Applies changed
 * settings to the socket first. */
struct nd_sock *nd_epoll_member_of(int epfd, int fd, struct nd_membership **member);

/* The descriptor of the next inner set of the set whose home is `epfd` and whose record is `set`, or -1 after the last;
 * *at is 0 at first. For an inner set with several descriptors it is the one that was registered, which need not be the
 * home. An entry whose descriptor has become another set, closed where no hook saw it, is left out: the new one may be
 * around this set. */
static inline int nd_epoll_next_inner(int epfd, const struct nd_sock *set, int *at) {
    while (set->epoll.nested && *at < ND_INNER_SETS) {
        const int fd = set->epoll.inner[(*at)++] - 1;
        struct nd_sock *inner = fd >= 0 ? nd_epoll_set_of(fd) : NULL;
        if (inner && nd_epoll_member(inner, epfd, set))
            return fd;
    }
    return -1;
}

/* Whether a limit holds for a socket or an inner set that is registered for `events`. A one-shot registration always
 * counts: that it is disarmed is known only from the events that are delivered. */
static inline bool nd_epoll_is_timed(int fd, const struct nd_sock *sock, uint32_t events) {
    if (__builtin_expect(nd_sock_flags(sock) & ND_SOCK_EPOLL, 0))
        return nd_sock_lookup(nd_epoll_home(fd))->epoll.timed;
    return (nd_watch_exact(fd) & nd_watch_events((short)events)) || (events & EPOLLONESHOT);
}
