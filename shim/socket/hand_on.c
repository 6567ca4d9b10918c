#include "shim/socket/hand_on.h"

#include <errno.h>
#include <fcntl.h>

#include "shim/message.h"
#include "shim/mode.h"
#include "shim/readable.h"
#include "shim/socket/change.h"
#include "shim/socket/duplicates.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/socket/option.h"

enum { TIMED = ND_SOCK_RCVTIMEO | ND_SOCK_SNDTIMEO, TICK = 10000 };

static bool is_timed(int fd) {
    const struct nd_sock *sock = nd_sock_lookup(fd);
    return sock && (nd_sock_flags(sock) & TIMED);
}

static bool is_any_timed(void) {
    for (int fd = 0; nd_active && fd <= nd_sock_highest(); fd++)
        if (is_timed(fd))
            return true;
    return false;
}

/* Whether the kernel's timer on `fd` is ours for `sock`; the kernel rounds to its ticks. */
static bool has_timer_of(int fd, struct nd_sock *sock) {
    const bool receives = nd_sock_flags(sock) & ND_SOCK_RCVTIMEO;
    const int64_t usec = nd_option_get_timeout(fd, receives ? SO_RCVTIMEO : SO_SNDTIMEO);
    const int64_t ours = (receives ? nd_sock_recv_limit(sock) : nd_sock_send_limit(sock)) / ND_USEC;
    return usec > 0 && usec >= ours - TICK && usec <= ours + TICK;
}

/* The descriptor whose record is that of the socket behind `fd`, if a timer is set on it: `fd`, or the one it is a
 * duplicate of, which a child of vfork has not recorded. -1 for none. */
static int find_timed(int fd) {
    if (is_timed(fd))
        return fd;
    uint64_t inode = nd_sock_inode(fd);
    for (int other = 0; inode && other <= nd_sock_highest(); other++)
        if (is_timed(other) && nd_sock_inode(other) == inode)
            return other;
    for (int other = 0; inode && other <= nd_sock_highest(); other++) /* it has closed that descriptor since */
        if (is_timed(other) && nd_real.fcntl(other, F_GETFD, NULL) < 0 && has_timer_of(fd, nd_sock_lookup(other)))
            return other;
    return -1;
}

static void set_all(bool ours) {
    const int saved = errno;
    const int last = is_any_timed() ? nd_sock_highest() : -1;
    for (int fd = 0; fd <= last; fd++) {
        const int how = nd_real.fcntl(fd, F_GETFD, NULL);
        const int known = how < 0 || (how & FD_CLOEXEC) ? -1 : find_timed(fd);
        struct nd_sock *sock = nd_sock_lookup(known);
        const uint32_t flags = sock ? nd_sock_flags(sock) : 0;
        if (flags & ND_SOCK_RCVTIMEO)
            nd_option_set_timeout(fd, SO_RCVTIMEO, ours ? nd_sock_recv_limit(sock) / ND_USEC : sock->own_rcvtimeo);
        if (flags & ND_SOCK_SNDTIMEO)
            nd_option_set_timeout(fd, SO_SNDTIMEO, ours ? nd_sock_send_limit(sock) / ND_USEC : sock->own_sndtimeo);
        if (sock) /* the record is the parent's in a child of vfork */
            nd_sock_change(known, sock, ND_SOCK_HANDED_ON, 0);
    }
    errno = saved;
}

void nd_hand_on_exec(void) {
    set_all(false);
}

void nd_hand_on_failed(void) {
    set_all(true);
}

/* Restores the program's own timers on `fd`. */
static void take_back(int fd, bool for_good) {
    struct nd_sock *sock = nd_active && is_timed(fd) ? nd_sock_lookup(fd) : NULL;
    const uint32_t flags = sock ? nd_sock_flags(sock) : 0;
    if (flags & ND_SOCK_RCVTIMEO)
        nd_option_set_timeout(fd, SO_RCVTIMEO, sock->own_rcvtimeo);
    if ((flags & ND_SOCK_SNDTIMEO) && !(flags & ND_SOCK_BORROWED))
        nd_option_set_timeout(fd, SO_SNDTIMEO, sock->own_sndtimeo);
    if (!sock)
        return;
    nd_sock_change(fd, sock, for_good ? ND_SOCK_HANDED_ON : 0,
                   ND_SOCK_RCVTIMEO | (flags & ND_SOCK_BORROWED ? 0 : ND_SOCK_SNDTIMEO));
    /* As after a change of the settings: the next call that may wait sets the timers again. */
    atomic_store_explicit(&sock->settings, nd_settings_generation - 1, memory_order_relaxed);
    nd_watch_set(fd, sock, ND_WATCH_IN | ND_WATCH_OUT | ND_WATCH_WAIT);
}

void nd_hand_on_spawn(bool lives_on) {
    const int saved = errno;
    for (int fd = 0; nd_active && fd <= nd_sock_highest(); fd++)
        take_back(fd, lives_on);
    errno = saved;
}

void nd_hand_on_forked(void) {
    for (int fd = 0; nd_kernel_timers_any_timeout && fd <= nd_sock_highest(); fd++)
        if (is_timed(fd))
            nd_sock_change(fd, nd_sock_lookup(fd), ND_SOCK_HANDED_ON, 0);
}

static void hand_on(int fd) {
    const struct nd_sock *sock = nd_active && is_timed(fd) ? nd_sock_lookup(fd) : NULL;
    take_back(fd, true);
    if (sock)
        nd_duplicates_update(fd, sock);
}

void nd_hand_on_message(int fd, const struct msghdr *msg) {
    const int saved = errno;
    const struct nd_sock *sock = nd_sock_lookup(fd);
    if (sock && (nd_sock_flags(sock) & ND_SOCK_INET))
        return;
    const size_t size = nd_readable(msg, sizeof *msg) ? nd_message_control_size(msg) : 0;
    if (size >= CMSG_LEN(sizeof(int)) && nd_readable(msg->msg_control, size))
        nd_message_each_descriptor(msg, hand_on);
    errno = saved;
}
