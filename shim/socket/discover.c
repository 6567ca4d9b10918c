#include "shim/socket/discover.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "shim/message.h"
#include "shim/next.h"
#include "shim/raw.h"
#include "shim/real.h"
#include "shim/socket/change.h"
#include "shim/socket/duplicates.h"
#include "shim/socket/ended.h"
#include "shim/socket/keepalive.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/option.h"
#include "shim/socket/profile.h"
#include "shim/socket/tcp_info.h"

/* Descriptors are inherited on low numbers: 0-2 (inetd), from 3 (systemd), 6 and 7 (UCSPI). */
enum { STANDARD = 3, GAP = 32, WINDOW = 2 * GAP };

/* Sets the limits that the config file has for the other side. */
static void set_profile(int fd, struct nd_sock *sock) {
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    if (nd_rules.count == 0)
        return;
    if (nd_sock_flags(sock) & ND_SOCK_LISTENING)
        sock->profile = nd_profile_listening(fd);
    else if (nd_sock_flags(sock) & ND_SOCK_INBOUND)
        sock->profile = nd_profile_from(fd);
    else if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
        sock->profile = nd_profile_to((struct sockaddr *)&peer, len);
    nd_sock_change(fd, sock, 0, 0);
}

struct nd_sock *nd_sock_discover(int fd) {
    int type = nd_option_of_kernel(fd, SOL_SOCKET, SO_TYPE, -1);
    if (type < 0)
        return NULL;
    int domain = nd_option_of_kernel(fd, SOL_SOCKET, SO_DOMAIN, -1); /* SO_DOMAIN, SO_PROTOCOL: Linux 2.6.32 */
    if (domain < 0) {
        struct sockaddr_storage name = {0};
        socklen_t len = sizeof name;
        domain = getsockname(fd, (struct sockaddr *)&name, &len) == 0 ? name.ss_family : 0;
    }
    uint32_t flags = nd_sock_family(domain, type, nd_option_of_kernel(fd, SOL_SOCKET, SO_PROTOCOL, 0));
    int status = nd_real.fcntl(fd, F_GETFL, NULL);
    if (status >= 0 && (status & O_NONBLOCK))
        flags |= ND_SOCK_NONBLOCK;
    /* An AF_UNIX stream whose connect was not seen may be a socketpair, which is never bounded. */
    bool listening = nd_option_of_kernel(fd, SOL_SOCKET, SO_ACCEPTCONN, 0) > 0;
    if (listening)
        flags |= ND_SOCK_LISTENING;
    else if (!(flags & ND_SOCK_LOCAL) && nd_has_peer(fd))
        flags |= ND_SOCK_CONNECTED;
    _Static_assert(offsetof(struct linger, l_onoff) == 0, "the first int of SO_LINGER");
    if (nd_option_of_kernel(fd, SOL_SOCKET, SO_LINGER, 0) > 0)
        flags |= ND_SOCK_LINGER;
    struct nd_sock *sock = nd_sock_created(fd, flags);
    if (sock && (flags & (ND_SOCK_CONNECTED | ND_SOCK_LISTENING)))
        set_profile(fd, sock);
    const uint32_t tcp = ND_SOCK_STREAM | ND_SOCK_INET;
    if (sock && (flags & tcp) == tcp && (nd_settings.outbound.keepalive || nd_settings.inbound.keepalive))
        nd_keepalive_discover(fd, sock);
    return sock;
}

/* Whether this end made the connection. Where that is not known it counts as accepted: fewer limits hold for it. */
static bool made_here(int fd) {
    struct nd_tcp_info info;
    int queued = 0;
    return nd_tcp_info_read(fd, &info) && nd_real.ioctl(fd, SIOCOUTQ, &queued) == 0 &&
           nd_tcp_made_here(&info, (uint64_t)queued);
}

/* Whether our timers are set on the socket already, by the limits of this side or the other; it is taken to be of that
 * side. */
static bool has_our_timers(int fd, struct nd_sock *sock) {
    if (nd_kernel_timers_found(fd, sock))
        return true;
    uint32_t side = nd_sock_flags(sock) & ND_SOCK_INBOUND;
    nd_sock_change(fd, sock, ND_SOCK_INBOUND & ~side, side);
    if (nd_kernel_timers_found(fd, sock))
        return true;
    nd_sock_change(fd, sock, side, ND_SOCK_INBOUND & ~side);
    return false;
}

void nd_discover_arrived(int fd) {
    nd_sock_clear_stale(fd);
    struct nd_sock *sock = nd_sock_discover(fd);
    if (!sock)
        return;
    const uint32_t tcp = ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED;
    if ((nd_sock_flags(sock) & tcp) == tcp && !made_here(fd))
        nd_sock_change(fd, sock, ND_SOCK_INBOUND, 0);
    if (nd_expired_anywhere(fd, sock))
        return; /* a deadline ended it before this process got it */
    if (nd_sock_flags(sock) & ND_SOCK_CONNECTED)
        set_profile(fd, sock);
    if (has_our_timers(fd, sock))
        nd_sock_change(fd, sock, nd_sock_flags(sock) & ND_SOCK_STREAM ? ND_SOCK_CONNECTED : 0, 0);
    else if (!(nd_sock_flags(sock) & ND_SOCK_STREAM))
        nd_sock_change(fd, sock, ND_SOCK_BOUND, 0); /* it may be a server's */
    if ((nd_sock_flags(sock) & (ND_SOCK_STREAM | ND_SOCK_CONNECTED)) == (ND_SOCK_STREAM | ND_SOCK_CONNECTED))
        nd_kernel_timers_arm(fd, sock);
}

/* Only sockets, and few other descriptors, are open for reading and writing without another flag. A seccomp filter
 * allows F_GETFL, but may kill a process for calls about sockets. */
static bool may_be_socket(int status) {
    return (status & ~(O_NONBLOCK | O_ASYNC)) == O_RDWR;
}

/* Joins `fd` with other descriptors of the same socket: inetd's 0, 1 and 2. */
static void join_duplicates(int fd) {
    struct nd_sock *sock = nd_sock_lookup(fd);
    const uint64_t inode = sock && nd_sock_flags(sock) ? nd_sock_inode(fd) : 0;
    for (int other = 0; inode && other < fd; other++) {
        struct nd_sock *earlier = nd_sock_lookup(other);
        if (earlier && nd_sock_flags(earlier) && nd_sock_inode(other) == inode)
            nd_duplicates_join(earlier, sock);
    }
}

/* Which of so many descriptors from `first` on are open, by one poll. Without it an ordinary start would ask for as many
 * closed ones, one by one. */
struct window {
    int first, end;
    struct pollfd entries[WINDOW];
};

/* poll fails where RLIMIT_NOFILE is less than WINDOW, or a filter refuses it: then each descriptor is asked for. */
static void look_at(struct window *window, int first) {
    for (int i = 0; i < WINDOW; i++)
        window->entries[i] = (struct pollfd){.fd = first + i};
    const bool told = nd_raw_poll(window->entries, WINDOW, 0) >= 0;
    window->first = told ? first : -1;
    window->end = told ? first + WINDOW : 0;
}

/* Whether poll tells that `fd` is closed. To poll an open one may call its driver; so the standard descriptors, which
 * are mostly open, are left out. */
static bool is_known_closed(struct window *window, int fd) {
    if (fd == STANDARD || (window->end && fd == window->end))
        look_at(window, fd);
    return fd < window->end && (window->entries[fd - window->first].revents & POLLNVAL);
}

/* The flags of a descriptor; negative where it is closed. Asks the kernel, unless a preloaded wrapper knows better: libc's
 * fcntl is in a page that a start would have to map for it. */
static int status_of(int fd) {
    return nd_next_any ? nd_real.fcntl(fd, F_GETFL, NULL) : (int)nd_raw_fcntl64(fd, F_GETFL, NULL);
}

void nd_discover_inherited(void) {
    int saved = errno;
    struct window window;
    window.end = 0;
    for (int fd = 0, closed = 0; closed < GAP; fd++) {
        int status = is_known_closed(&window, fd) ? -1 : status_of(fd);
        closed = status < 0 ? closed + 1 : 0;
        if (status < 0 || !may_be_socket(status))
            continue;
        nd_discover_arrived(fd);
        join_duplicates(fd);
    }
    errno = saved;
}

void nd_discover_received(const struct msghdr *msg) {
    int saved = errno;
    nd_message_each_descriptor(msg, nd_discover_arrived);
    errno = saved;
}
