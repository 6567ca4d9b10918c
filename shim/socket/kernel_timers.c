#include "shim/socket/kernel_timers.h"

#include <netinet/tcp.h>

#include "shim/mode.h"
#include "shim/socket/change.h"
#include "shim/socket/keepalive.h"
#include "shim/socket/limits.h"
#include "shim/socket/mptcp.h"
#include "shim/socket/option.h"
#include "shim/socket/retransmit.h"

_Atomic bool nd_kernel_timers_any_timeout;

/* The kernel rounds a timeout up to its tick; the longest in use is that of HZ=100. Microseconds. */
#define JIFFY 10000

/* Sets the shorter of the program's own timeout and ours; `flag` notes that it is ours. What another program may have
 * keeps the program's own. */
static void arm_timeout(int fd, struct nd_sock *sock, int name, nd_time limit, _Atomic int64_t *own, uint32_t flag) {
    int64_t current = nd_option_get_timeout(fd, name);
    if (current < 0)
        return;
    int64_t ours = (limit + ND_USEC - 1) / ND_USEC;
    *own = current;
    if (!(nd_sock_flags(sock) & ND_SOCK_HANDED_ON) && (current == 0 || current > ours) &&
        nd_option_set_timeout(fd, name, ours) == 0) {
        atomic_store_explicit(&nd_kernel_timers_any_timeout, true, memory_order_relaxed);
        nd_sock_change(fd, sock, flag, 0);
    } else
        nd_sock_change(fd, sock, 0, flag);
}

void nd_kernel_timers_give_back(int fd, struct nd_sock *sock) {
    int saved = errno;
    nd_option_set_timeout(fd, SO_SNDTIMEO, sock->own_sndtimeo);
    sock->own_sndtimeo = 0;
    nd_sock_change(fd, sock, 0, ND_SOCK_BORROWED | ND_SOCK_SNDTIMEO);
    errno = saved;
}

bool nd_kernel_timers_borrow(int fd, struct nd_sock *sock, struct nd_borrowed *borrowed) {
    socklen_t size = sizeof borrowed->before;
    if (nd_real.getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &borrowed->before, &size) != 0)
        return false;
    borrowed->ours_before = (nd_sock_flags(sock) & ND_SOCK_SNDTIMEO) != 0;
    if (!borrowed->ours_before)
        sock->own_sndtimeo = (int64_t)borrowed->before.tv_sec * ND_USEC_PER_SEC + borrowed->before.tv_usec;
    borrowed->own = sock->own_sndtimeo;
    nd_sock_change(fd, sock, ND_SOCK_SNDTIMEO | ND_SOCK_BORROWED, 0);
    return true;
}

nd_time nd_kernel_timers_own_deadline(int fd, const struct nd_sock *sock, enum nd_direction direction, nd_time now) {
    const bool in = direction == ND_IN, ours = nd_sock_flags(sock) & (in ? ND_SOCK_RCVTIMEO : ND_SOCK_SNDTIMEO);
    int64_t usec = in ? sock->own_rcvtimeo : sock->own_sndtimeo;
    if (!ours)
        usec = nd_option_get_timeout(fd, in ? SO_RCVTIMEO : SO_SNDTIMEO);
    if (usec < 0)
        return -1;
    return usec > 0 ? nd_time_after(now, usec * ND_USEC) : ND_NEVER;
}

void nd_kernel_timers_return(int fd, struct nd_sock *sock, const struct nd_borrowed *borrowed) {
    nd_real.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &borrowed->before, sizeof borrowed->before);
    nd_sock_change(fd, sock, 0, ND_SOCK_BORROWED | (borrowed->ours_before ? 0 : ND_SOCK_SNDTIMEO));
    if (!borrowed->ours_before)
        sock->own_sndtimeo = 0;
}

void nd_kernel_timers_arm(int fd, struct nd_sock *sock) {
    const struct nd_limits *limits = nd_sock_limits(sock);
    if (nd_observing ||
        (!(nd_sock_flags(sock) & ND_SOCK_BORROWED) && !limits->recv && !limits->send && !limits->keepalive))
        return;
    int saved = errno;
    if (nd_sock_flags(sock) & ND_SOCK_BORROWED)
        nd_kernel_timers_give_back(fd, sock);
    uint32_t flags = nd_sock_flags(sock);
    nd_time recv = nd_recv_limit_by(flags, limits);
    nd_time send = nd_send_limit_by(flags, limits);
    if (recv && !(flags & ND_SOCK_RCVTIMEO))
        arm_timeout(fd, sock, SO_RCVTIMEO, recv, &sock->own_rcvtimeo, ND_SOCK_RCVTIMEO);
    if (send && !(flags & ND_SOCK_SNDTIMEO))
        arm_timeout(fd, sock, SO_SNDTIMEO, send, &sock->own_sndtimeo, ND_SOCK_SNDTIMEO);
    if ((flags & ND_SOCK_INET) && (flags & ND_SOCK_STREAM) && limits->keepalive)
        nd_keepalive_arm(fd, sock, limits);
    errno = saved;
}

/* Restores the program's own values wherever ours are set. */
static void restore(int fd, struct nd_sock *sock) {
    uint32_t flags = nd_sock_flags(sock);
    if (flags & ND_SOCK_RCVTIMEO)
        nd_option_set_timeout(fd, SO_RCVTIMEO, sock->own_rcvtimeo);
    if (flags & ND_SOCK_SNDTIMEO)
        nd_option_set_timeout(fd, SO_SNDTIMEO, sock->own_sndtimeo);
    if (flags & ND_SOCK_KEEPALIVE)
        nd_keepalive_disarm(fd, sock);
    nd_sock_change(fd, sock, 0, ND_SOCK_RCVTIMEO | ND_SOCK_SNDTIMEO | ND_SOCK_KEEPALIVE);
}

void nd_kernel_timers_profile(int fd, struct nd_sock *sock, uint8_t profile) {
    int saved = errno;
    if (profile == sock->profile)
        return;
    restore(fd, sock);
    if (nd_sock_flags(sock) & ND_SOCK_SYNCNT) {
        nd_option_set(fd, IPPROTO_TCP, TCP_SYNCNT, sock->own_syncnt);
        nd_sock_change(fd, sock, 0, ND_SOCK_SYNCNT);
    }
    sock->profile = profile;
    if (!(nd_sock_flags(sock) & ND_SOCK_STREAM))
        nd_kernel_timers_arm(fd, sock);
    nd_sock_change(fd, sock, 0, 0);
    errno = saved;
}

void nd_kernel_timers_catch_up(int fd, struct nd_sock *sock) {
    const int saved = errno;
    const uint32_t now = nd_settings_generation, flags = nd_sock_flags(sock);
    if (atomic_exchange(&sock->settings, now) == now)
        return; /* or another thread does it */
    nd_profile_renew();
    sock->tls_functions = NULL; /* the next TLS call finds them again */
    /* A connect under way has borrowed SO_SNDTIMEO; its socket is armed when it is established. */
    bool armed = !(flags & ND_SOCK_KNOWN)   ? false
                 : (flags & ND_SOCK_STREAM) ? (flags & ND_SOCK_CONNECTED)
                                            : nd_sock_is_datagram(sock);
    if (armed && !(flags & ND_SOCK_EXPIRED)) {
        restore(fd, sock);
        nd_retransmit_renew(fd, sock);
        sock->inode = nd_sock_limits(sock)->lifetime ? nd_sock_inode(fd) : 0;
        nd_sock_change(fd, sock, 0, ND_SOCK_ROLE_UNKNOWN); /* who sent first may not have been noted until now */
        nd_kernel_timers_arm(fd, sock);
    }
    nd_sock_change(fd, sock, 0, 0); /* the watch bits: a change of the settings has set them all */
    if ((nd_watch_exact(fd) & ND_WATCH_WAIT) && nd_sock_is_in_set(sock)) /* to which they are no new ones, therefore */
        nd_sock_listener->limited(fd, sock);
    errno = saved;
}

static bool is_set(int fd, int name, nd_time limit) {
    int64_t ours = (limit + ND_USEC - 1) / ND_USEC, current = limit ? nd_option_get_timeout(fd, name) : -1;
    return current >= ours && current - ours < JIFFY;
}

bool nd_kernel_timers_found(int fd, struct nd_sock *sock) {
    int saved = errno;
    uint32_t found = is_set(fd, SO_RCVTIMEO, nd_sock_recv_limit(sock)) ? ND_SOCK_RCVTIMEO : 0;
    found |= is_set(fd, SO_SNDTIMEO, nd_sock_send_limit(sock)) ? ND_SOCK_SNDTIMEO : 0;
    if (found) {
        atomic_store_explicit(&nd_kernel_timers_any_timeout, true, memory_order_relaxed);
        nd_sock_change(fd, sock, found, 0);
    }
    errno = saved;
    return found != 0;
}

void nd_kernel_timers_disarm(int fd, struct nd_sock *sock) {
    int saved = errno;
    if (nd_sock_flags(sock) & ND_SOCK_RCVTIMEO) {
        nd_option_set_timeout(fd, SO_RCVTIMEO, sock->own_rcvtimeo);
        nd_sock_change(fd, sock, 0, ND_SOCK_RCVTIMEO);
    }
    errno = saved;
}

/* A SYN is retransmitted after 1, 2, 4 ... seconds; since Linux 6.5 the first four (net.ipv4.tcp_syn_linear_timeouts)
 * are a second apart, and only then the time doubles. The slower growth counts, so that it never ends too early. */
int nd_kernel_timers_syn_count(nd_time timeout) {
    nd_time total = ND_SEC, step = ND_SEC;
    int count = 0;
    while (total < timeout && count < 127) {
        count++;
        if (count > 4)
            step = step < 120 * ND_SEC ? 2 * step : step;
        total += step;
    }
    return count < 1 ? 1 : count;
}

/* How long a connect that begins now may take; 0: there is no limit. */
static nd_time connect_timeout(const struct nd_sock *sock) {
    if (!nd_sock_establish_limit(sock))
        return nd_sock_connect_limit(sock);
    const nd_time now = nd_now();
    return nd_connect_deadline(sock, now) - now;
}

void nd_kernel_timers_backstop(int fd, struct nd_sock *sock) {
    uint32_t flags = nd_sock_flags(sock);
    if (!(flags & ND_SOCK_INET) || !(flags & ND_SOCK_STREAM) || (flags & ND_SOCK_SYNCNT) || nd_observing ||
        !(nd_sock_connect_limit(sock) || nd_sock_establish_limit(sock)))
        return;
    int saved = errno;
    int ours = nd_kernel_timers_syn_count(connect_timeout(sock));
    int own = nd_option_get(fd, IPPROTO_TCP, TCP_SYNCNT, -1);
    if (own > ours && own <= 127 && nd_option_set(fd, IPPROTO_TCP, TCP_SYNCNT, ours) == 0) {
        sock->own_syncnt = (int8_t)own;
        nd_sock_change(fd, sock, ND_SOCK_SYNCNT, 0);
    }
    errno = saved;
}

/* SO_RCVTIMEO and SO_SNDTIMEO of a program with 64-bit times on a 32-bit system. */
enum { RCVTIMEO_NEW = 66, SNDTIMEO_NEW = 67 };
#ifdef SO_RCVTIMEO_NEW
_Static_assert(RCVTIMEO_NEW == SO_RCVTIMEO_NEW && SNDTIMEO_NEW == SO_SNDTIMEO_NEW, "the numbers are the kernel's");
#endif

static bool is_timeout(int level, int name, int which) {
    return level == SOL_SOCKET && (name == which || name == (which == SO_RCVTIMEO ? RCVTIMEO_NEW : SNDTIMEO_NEW));
}

bool nd_kernel_timers_program_set(int fd, struct nd_sock *sock, int level, int name) {
    int saved = errno;
    uint32_t flags = nd_sock_flags(sock);
    bool ours = true;
    if (is_timeout(level, name, SO_RCVTIMEO) && (flags & ND_SOCK_RCVTIMEO || sock->own_rcvtimeo))
        arm_timeout(fd, sock, SO_RCVTIMEO, nd_sock_recv_limit(sock), &sock->own_rcvtimeo, ND_SOCK_RCVTIMEO);
    else if (is_timeout(level, name, SO_SNDTIMEO) && (flags & ND_SOCK_SNDTIMEO || sock->own_sndtimeo))
        arm_timeout(fd, sock, SO_SNDTIMEO, nd_sock_send_limit(sock), &sock->own_sndtimeo, ND_SOCK_SNDTIMEO);
    else if (level == IPPROTO_TCP && name == TCP_SYNCNT)
        nd_sock_change(fd, sock, 0, ND_SOCK_SYNCNT);
    else
        ours = nd_retransmit_program_set(sock, level, name);
    errno = saved;
    return ours;
}

static bool store(const void *what, size_t size, void *value, socklen_t *len) {
    if (*len > size)
        *len = (socklen_t)size;
    memcpy(value, what, *len);
    return true;
}

bool nd_kernel_timers_read_back(const struct nd_sock *sock, int level, int name, void *value, socklen_t *len) {
    uint32_t flags = nd_sock_flags(sock);
    bool inet = (flags & ND_SOCK_INET) && !nd_is_known_mptcp(sock);
    if ((flags & ND_SOCK_EXPIRED) && level == (inet ? IPPROTO_TCP : SOL_SOCKET) &&
        name == (inet ? TCP_USER_TIMEOUT : SO_RCVLOWAT)) { // NOLINT(bugprone-branch-clone): 18 on either level
        int own = sock->own_marked;
        return store(&own, sizeof own, value, len);
    }
    int one;
    if (nd_keepalive_read_back(sock, level, name, &one) || nd_retransmit_read_back(sock, level, name, &one))
        return store(&one, sizeof one, value, len);
    if ((flags & ND_SOCK_SYNCNT) && level == IPPROTO_TCP && name == TCP_SYNCNT) {
        int own = sock->own_syncnt;
        return store(&own, sizeof own, value, len);
    }
    bool in = (flags & ND_SOCK_RCVTIMEO) && is_timeout(level, name, SO_RCVTIMEO);
    bool out = (flags & ND_SOCK_SNDTIMEO) && is_timeout(level, name, SO_SNDTIMEO);
    if (!in && !out)
        return false;
    int64_t usec = in ? sock->own_rcvtimeo : sock->own_sndtimeo;
    if (name == RCVTIMEO_NEW || name == SNDTIMEO_NEW) {
        int64_t wide[] = {usec / ND_USEC_PER_SEC, usec % ND_USEC_PER_SEC};
        return store(wide, sizeof wide, value, len);
    }
    struct timeval own = nd_option_timeval(usec);
    return store(&own, sizeof own, value, len);
}
