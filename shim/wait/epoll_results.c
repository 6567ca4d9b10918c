#include "shim/wait/epoll_results.h"

#include "shim/limit/pending_timeout.h"
#include "shim/real.h"
#include "shim/wait/epoll_member.h"
#include "shim/wait/epoll_time.h"

/* Makes all sets that `sock` is a member of, and the sets around those, report it. */
static void mark(struct nd_sock *sock, int depth) {
    for (int i = 0; i < ND_MEMBERSHIPS; i++) {
        struct nd_sock *set = sock->in[i].set ? nd_epoll_set_of(sock->in[i].set - 1) : NULL;
        if (!set || set->generation != sock->in[i].generation)
            continue;
        sock->in[i].shown = false;
        set->shown = 0;
        if (depth == 0)
            set->epoll.timeout_pending = true;
        if (depth < ND_EPOLL_DEEPEST)
            mark(set, depth + 1);
    }
}

_Atomic bool nd_epoll_any_timeout_pending;

void nd_epoll_member_timeout_pending(struct nd_sock *sock) {
    nd_epoll_any_timeout_pending = true;
    mark(sock, 0);
}

/* Whether a pending timeout of this member, a socket or an inner set, is to be reported for the events it is registered
 * for. */
static bool shows(const struct nd_sock *sock, const struct nd_membership *member) {
    return (member->events & ND_WANTS_IN) && sock->shown < ND_PENDING_TIMEOUT_SHOWN &&
           !((member->events & EPOLLET) && member->shown);
}

static bool has_timeout_pending(int epfd, int depth) {
    epfd = nd_epoll_home(epfd);
    const struct nd_sock *sock = nd_epoll_set_of(epfd);
    if (!sock || sock->epoll.timeout_pending)
        return sock != NULL;
    for (int at = 0, fd; depth < ND_EPOLL_DEEPEST && (fd = nd_epoll_next_inner(epfd, sock, &at)) >= 0;) {
        struct nd_sock *inner = nd_sock_lookup(fd);
        const struct nd_membership *member = nd_epoll_member(inner, epfd, sock);
        if (member && shows(inner, member) && has_timeout_pending(fd, depth + 1))
            return true;
    }
    return false;
}

bool nd_epoll_has_timeout_pending(int epfd) {
    return has_timeout_pending(epfd, 0);
}

/* The events that a wait returns. */
struct found {
    struct epoll_event *events;
    int ready, count;
};

/* Adds EPOLLIN to the event with `data`, or adds that event. Returns false if `events` is full. */
static bool add(struct found *found, uint64_t data) {
    for (int i = 0; i < found->ready; i++)
        if (found->events[i].data.u64 == data) {
            found->events[i].events |= EPOLLIN;
            return true;
        }
    if (found->ready == found->count)
        return false;
    found->events[found->ready++] = (struct epoll_event){.events = EPOLLIN, .data.u64 = data};
    return true;
}

/* Disarms a one-shot registration whose event is reported here. Without this the kernel would still report errors of
 * the socket. */
static void end_one_shot(int epfd, int fd, struct nd_sock *sock, struct nd_membership *member) {
    struct epoll_event none = {.events = member->events & (EPOLLONESHOT | EPOLLET), .data.u64 = member->data};
    nd_epoll_run_clocks(sock, member, &nd_sock_lookup(epfd)->epoll);
    member->events &= ~(uint32_t)(ND_WANTS_IN | ND_WANTS_OUT | ND_WAIT_URGENT);
    nd_real.epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &none);
}

/* Reports a member that has a pending timeout. Returns whether the next wait is to report it again. */
static bool show_member(int epfd, int fd, struct nd_sock *sock, struct nd_membership *member, struct found *found) {
    if (!shows(sock, member))
        return false;
    if (!add(found, member->data))
        return true;
    member->shown = true;
    sock->shown++;
    if (member->events & EPOLLONESHOT)
        end_one_shot(epfd, fd, sock, member);
    return shows(sock, member);
}

int nd_epoll_show(int epfd, struct epoll_event *events, int ready, int count) {
    if (!nd_epoll_any_timeout_pending)
        return ready;
    struct nd_membership *member;
    struct found found = {events, ready, count};
    epfd = nd_epoll_home(epfd);
    struct nd_sock *set = nd_epoll_set_of(epfd);
    bool again = false, pending = set && atomic_exchange(&set->epoll.timeout_pending, false);
    for (int fd = 0; pending && fd <= set->epoll.highest; fd++) {
        struct nd_sock *sock = nd_sock_lookup(fd);
        if (sock && (nd_sock_flags(sock) & ND_SOCK_TIMEOUT_PENDING) && nd_epoll_member_of(epfd, fd, &member))
            again |= show_member(epfd, fd, sock, member, &found);
    }
    if (again)
        set->epoll.timeout_pending = true;
    for (int at = 0, fd; set && (fd = nd_epoll_next_inner(epfd, set, &at)) >= 0;) {
        struct nd_sock *inner = has_timeout_pending(fd, 1) ? nd_sock_lookup(fd) : NULL;
        member = inner ? nd_epoll_member(inner, epfd, set) : NULL;
        if (member)
            show_member(epfd, fd, inner, member, &found);
    }
    return found.ready;
}
