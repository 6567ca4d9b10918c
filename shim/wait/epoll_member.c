#include "shim/wait/epoll_member.h"

#include <string.h>

#include "shim/socket/change.h"
#include "shim/socket/kernel_timers.h"

int nd_epoll_home(int epfd) {
    const struct nd_sock *set = nd_epoll_set_of(epfd);
    int home = set ? set->epoll.copy_of - 1 : -1;
    const struct nd_sock *its = home >= 0 ? nd_epoll_set_of(home) : NULL;
    return its && its->generation == set->epoll.copy_generation ? home : epfd;
}

void nd_epoll_note_inner(struct nd_epoll *set, int from, int to) {
    if (to)
        set->nested = true;
    for (int i = 0; i < ND_INNER_SETS; i++) {
        int slot = from;
        if (set->inner[i] == to && to)
            return;
        if (atomic_compare_exchange_strong(&set->inner[i], &slot, to))
            return;
    }
}

struct nd_sock *nd_epoll_next_member(int epfd, const struct nd_sock *set, int *fd, struct nd_membership **member) {
    while (++*fd <= set->epoll.highest) {
        struct nd_sock *sock = nd_sock_lookup(*fd);
        *member = sock ? nd_epoll_member(sock, epfd, set) : NULL;
        if (*member)
            return sock;
    }
    return NULL;
}

/* Picks the descriptor that becomes the home of the set when `epfd` is closed, and makes the others duplicates of it.
 * Returns -1 if the set has no other descriptor. */
static int heir_of(int epfd, const struct nd_sock *set) {
    int heir = -1;
    for (int fd = 0; set->epoll.has_copies && fd <= nd_sock_highest(); fd++) {
        struct nd_sock *duplicate = nd_epoll_set_of(fd);
        if (!duplicate || duplicate->epoll.copy_of != epfd + 1 || duplicate->epoll.copy_generation != set->generation)
            continue;
        if (heir < 0) {
            heir = fd;
            continue;
        }
        duplicate->epoll.copy_of = heir + 1;
        duplicate->epoll.copy_generation = atomic_load(&nd_sock_lookup(heir)->generation);
    }
    return heir;
}

/* Gives the duplicate `to` the registrations in other sets of a descriptor that is about to be closed, beside its own:
 * the kernel keeps those for as long as the set is open. */
static void inherit_memberships(int epfd, struct nd_sock *set, int to, struct nd_sock *heir) {
    for (int i = 0; i < ND_MEMBERSHIPS; i++) {
        const int outer_fd = set->in[i].set - 1;
        struct nd_sock *outer = outer_fd >= 0 ? nd_epoll_set_of(outer_fd) : NULL;
        if (!outer || !nd_epoll_member(set, outer_fd, outer) || nd_epoll_member(heir, outer_fd, outer))
            continue;
        int unused = 0;
        while (unused < ND_MEMBERSHIPS - 1 && heir->in[unused].set)
            unused++;
        memcpy(&heir->in[unused], &set->in[i], sizeof heir->in[unused]);
        nd_epoll_note_inner(&outer->epoll, epfd + 1, to + 1);
    }
}

/* Moves what is known of the set from the record of `epfd` to that of its duplicate `to`, and changes all that refers
 * to it. */
static void hand_over(int epfd, struct nd_sock *set, int to) {
    struct nd_sock *heir = nd_sock_lookup(to);
    memcpy(&heir->epoll, &set->epoll, sizeof heir->epoll);
    struct nd_membership *member;
    for (int fd = -1; nd_epoll_next_member(epfd, set, &fd, &member);) {
        member->generation = atomic_load(&heir->generation);
        member->set = to + 1;
    }
    inherit_memberships(epfd, set, to, heir);
    nd_sock_change(to, heir, 0, 0);
}

bool nd_epoll_handed_over(int epfd) {
    struct nd_sock *set = nd_epoll_set_of(epfd);
    const int home = set ? nd_epoll_home(epfd) : epfd;
    if (home != epfd)
        inherit_memberships(epfd, set, home, nd_sock_lookup(home));
    int heir = set && !set->epoll.copy_of ? heir_of(epfd, set) : -1;
    if (heir >= 0)
        hand_over(epfd, set, heir);
    return heir >= 0;
}

struct nd_sock *nd_epoll_member_of(int epfd, int fd, struct nd_membership **member) {
    struct nd_sock *sock = nd_sock_lookup(fd);
    const uint32_t kinds = ND_SOCK_CONNECTED | ND_SOCK_CONNECTING | ND_SOCK_LISTENING;
    if (!sock || !((nd_sock_flags(sock) & kinds) || nd_sock_is_datagram(sock)) ||
        (nd_sock_flags(sock) & ND_SOCK_EXPIRED))
        return NULL;
    *member = nd_epoll_membership(sock, epfd);
    if (*member)
        nd_kernel_timers_refresh(fd, sock);
    return *member ? sock : NULL;
}
