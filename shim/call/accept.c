#include "shim/call/accept.h"

#include <fcntl.h>
#include <poll.h>

#include "base/compiler.h"
#include "shim/limit/observe.h"
#include "shim/limit/pending_timeout.h"
#include "shim/mode.h"
#include "shim/poll.h"
#include "shim/real.h"
#include "shim/socket/change.h"
#include "shim/socket/discover.h"
#include "shim/socket/keepalive.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/wait/wait.h"

static void accepted(int listener, int fd, int flags) {
    int saved = errno;
    nd_live_check();
    const struct nd_sock *from = nd_sock_lookup(listener);
    /* Keepalive, too, is inherited; sections of the config file may have another for the peer. */
    const uint32_t kind =
        ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_LOCAL | ND_SOCK_LINGER | (nd_rules.has_inbound ? 0 : ND_SOCK_KEEPALIVE);
    const uint32_t established = ND_SOCK_CONNECTED | ND_SOCK_INBOUND,
                   nonblock = flags & SOCK_NONBLOCK ? ND_SOCK_NONBLOCK : 0;
    const uint32_t known = from ? nd_sock_flags(from) : 0, known_inbound = nd_rules.has_inbound ? 0 : established;
    struct nd_sock *sock =
        known & ND_SOCK_KNOWN ? nd_sock_created(fd, (known & kind) | nonblock | known_inbound) : nd_sock_discover(fd);
    if (sock) {
        if (known & ND_SOCK_KEEPALIVE)
            nd_keepalive_inherit(from, sock);
        if (nd_rules.has_inbound)
            sock->profile = nd_profile_from(fd);
        if (nd_unlikely((nd_sock_flags(sock) & established) != established))
            nd_sock_change(fd, sock, established, 0);
        nd_kernel_timers_arm(fd, sock);
    }
    errno = saved;
}

/* A listener under ACCEPT, or NULL. */
static struct nd_sock *limited(int fd) {
    struct nd_sock *sock = nd_sock_lookup(fd);
    if (sock && !(nd_sock_flags(sock) & ND_SOCK_KNOWN))
        sock = nd_sock_discover(fd);
    return sock && nd_sock_accept_limit(sock) ? sock : NULL;
}

static bool has_connection(int fd) {
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    return nd_poll_now(&pollfd) != 0; /* also for an error, which accept returns */
}

/* Poll reports one connection to several threads, and accept would block all of them but the first. So they take turns;
 * a turn expires, so that a thread that was cancelled in accept, or left it by longjmp, blocks nobody. */
#define LONGEST_TURN (500 * ND_MSEC)

static bool take_thread_turn(struct nd_sock *sock, uint32_t seen) {
    nd_time other = sock->accepting, now = nd_now();
    bool taken =
        (other == 0 || now - other > LONGEST_TURN) && atomic_compare_exchange_strong(&sock->accepting, &other, now);
    if (taken && sock->turns == seen) {
        sock->turns++;
        return true;
    }
    if (taken)
        sock->accepting = 0;
    else
        nd_pause(1);
    return false;
}

static bool lock(int fd, short type) {
    struct flock whole = {.l_type = type, .l_whence = SEEK_SET};
    return nd_real.fcntl(fd, F_SETLK, &whole) == 0 || (errno != EAGAIN && errno != EACCES);
}

/* Processes that share the listener (prefork servers) take turns, too, by a record lock on its inode: no program uses
 * one there, and the kernel releases it when the process ends. A process waits for it no longer than for a thread's
 * turn. Neither SO_RCVTIMEO nor O_NONBLOCK would do: accepted sockets inherit the one, all processes share the
 * other. */
static bool take_process_turn(int fd) {
    bool taken;
    for (nd_time began = nd_now(); !(taken = lock(fd, F_WRLCK)) && nd_now() - began < LONGEST_TURN;)
        nd_pause(1);
    if (has_connection(fd))
        return true;
    if (taken)
        lock(fd, F_UNLCK);
    return false;
}

/* A non-blocking accept needs no lock. */
static bool locks(const struct nd_sock *sock) {
    return !(nd_sock_flags(sock) & ND_SOCK_NONBLOCK);
}

static bool take_turn(int fd, struct nd_sock *sock, uint32_t seen) {
    if (!take_thread_turn(sock, seen))
        return false;
    if (!locks(sock) || take_process_turn(fd))
        return true;
    sock->accepting = 0;
    return false;
}

static void end_turn(int fd, struct nd_sock *sock) {
    int saved = errno;
    if (locks(sock))
        lock(fd, F_UNLCK);
    sock->accepting = 0;
    errno = saved;
}

/* A call that waits for a connection. */
struct accept_wait {
    struct nd_wait wait;   /* first: accept_renew casts back */
    nd_time began, before; /* when the call did, and for how long earlier ones had waited */
};

/* ACCEPT counts from the first of the calls that returned no connection. */
static void accept_renew(struct nd_wait *wait) {
    const struct accept_wait *this = (const struct accept_wait *)wait;
    const nd_time limit = nd_sock_accept_limit(wait->sock), left = this->before < limit ? limit - this->before : 0;
    wait->deadline = limit ? nd_time_after(this->began, left) : ND_NEVER;
    wait->expiry = (struct nd_expiry){
        .limit = nd_limit_name(wait->sock, ND_LIMIT_ACCEPT), .timeout = limit, .elapsed = this->before + left};
}

/* Waits for a connection and takes the turn to accept it. False, with errno, where the call ends without one. */
static bool wait_for_connection(const struct nd_accept_call *call, struct nd_sock *sock, enum nd_waited *how) {
    const nd_time began = nd_now();
    const nd_time before = nd_wait_clock_silence(&sock->clock[ND_IN]);
    struct accept_wait this = {.wait = {.operation = call->operation,
                                        .fd = call->fd,
                                        .sock = sock,
                                        .events = POLLIN,
                                        .own = nd_kernel_timers_own_deadline(call->fd, sock, ND_IN, began),
                                        .renew = accept_renew},
                               .began = began,
                               .before = before};
    accept_renew(&this.wait);
    nd_wait_begin(&this.wait);
    for (;;) {
        const uint32_t turns = sock->turns;
        const nd_time since = nd_now();
        *how = nd_wait_for(&this.wait);
        const int error = errno;
        if (*how != ND_REPLACED)
            nd_stopwatch_add(&sock->clock[ND_IN].time, since, nd_now());
        if (*how == ND_UNPOLLABLE)
            return true;
        if ((*how == ND_READY || *how == ND_ENDED_STREAM) && take_turn(call->fd, sock, turns))
            return true;
        nd_wait_progress(&this.wait); /* another thread or process has taken the connection */
        if (*how == ND_EXPIRED) {
            nd_expiry_report(call->fd, &this.wait.expiry);
            nd_wait_clock_progress(&sock->clock[ND_IN]);
        }
        errno = *how == ND_EXPIRED ? ETIMEDOUT : error;
        if (*how != ND_READY && *how != ND_ENDED_STREAM)
            return false;
    }
}

static int plain(const struct nd_accept_call *call) {
    return call->operation == ND_OPERATION_accept4 ? nd_real.accept4(call->fd, call->addr, call->len, call->flags)
                                                   : nd_real.accept(call->fd, call->addr, call->len);
}

static int accept_observed(const struct nd_accept_call *call, struct nd_sock *sock) {
    struct nd_observe observe;
    nd_observe_begin(&observe, call->operation, call->fd, sock, ND_LIMIT_ACCEPT);
    const int made = plain(call), error = errno;
    nd_stopwatch_add(&sock->clock[ND_IN].time, observe.began, nd_now());
    const nd_time silence = nd_wait_clock_silence(&sock->clock[ND_IN]), limit = nd_sock_accept_limit(sock);
    errno = error;
    nd_observe_end(&observe, made, (struct nd_expiry){.timeout = limit, .elapsed = silence});
    if (silence >= limit)
        nd_wait_clock_progress(&sock->clock[ND_IN]);
    return made;
}

static int accept_limited(const struct nd_accept_call *call, struct nd_sock *sock) {
    if (nd_observing)
        return accept_observed(call, sock);
    int saved = errno;
    uint32_t turns = sock->turns;
    struct pollfd pollfd = {.fd = call->fd, .events = POLLIN};
    const int waiting = nd_real.poll(&pollfd, 1, 0);
    if (nd_unlikely(waiting < 0) && errno != EINTR) {
        errno = saved;
        return plain(call); /* RLIMIT_NOFILE of 0: no descriptor is free, and the kernel says so at once */
    }
    bool turn = waiting > 0 && take_turn(call->fd, sock, turns);
    if (!turn && nd_pending_timeout_take(call->fd, sock)) {
        errno = ETIMEDOUT;
        return -1;
    }
    if (!turn && !nd_nonblocking(call->fd)) {
        struct nd_slot_use use;
        enum nd_waited how;
        nd_time began = nd_now();
        nd_slot_begin(&use, call->operation, call->fd, began, nd_time_after(began, nd_sock_accept_limit(sock)),
                      ND_LIMIT_ACCEPT);
        turn = wait_for_connection(call, sock, &how);
        nd_slot_end(&use, nd_wait_outcome(how, turn ? 0 : -1), nd_now_coarse());
        if (!turn)
            return -1;
        turn = how != ND_UNPOLLABLE;
    }
    errno = saved;
    int made = plain(call);
    if (turn && nd_active)
        end_turn(call->fd, sock);
    return made;
}

int nd_accept(const struct nd_accept_call *call) {
    struct nd_sock *sock = nd_settings.accept || nd_rules.has_accept ? limited(call->fd) : NULL;
    int made = sock ? accept_limited(call, sock) : plain(call);
    if (nd_starts_over(made))
        return nd_accept(call);
    if (made < 0 || nd_unlikely(!nd_active))
        return made;
    if (sock) {
        nd_pending_timeout_take(call->fd, sock);
        nd_wait_clock_progress(&sock->clock[ND_IN]);
    }
    accepted(call->fd, made, call->flags);
    return made;
}
