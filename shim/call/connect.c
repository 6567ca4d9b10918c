#include "shim/call/connect.h"

#include <string.h>

#include "base/compiler.h"
#include "shim/call/connect_until.h"
#include "shim/limit/carry_over.h"
#include "shim/limit/connect_limit.h"
#include "shim/limit/datagram.h"
#include "shim/limit/observe.h"
#include "shim/mode.h"
#include "shim/readable.h"
#include "shim/real.h"
#include "shim/socket/discover.h"
#include "shim/socket/duplicates.h"
#include "shim/socket/ended.h"
#include "shim/socket/establish.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/socket/tcp_info.h"
#include "shim/tls/innermost.h"
#include "shim/wait/wait.h"

static void connected(int fd, struct nd_sock *sock) {
    sock->deferred = false;
    nd_sock_change(fd, sock, ND_SOCK_CONNECTED | (nd_scope_finds_socket() ? ND_SOCK_TLS_CANDIDATE : 0),
                   ND_SOCK_CONNECTING);
    nd_kernel_timers_arm(fd, sock);
    nd_duplicates_update(fd, sock);
    nd_carry_over_end(fd, sock, ND_OUT);
    nd_establish_note(sock, ND_ESTABLISH_SUCCEEDED);
}

/* Under TCP_FASTOPEN_CONNECT, with a cookie or where none is needed, connect gives 0 before a SYN is sent: the first
 * send takes its data along. Until then nothing waits, and no time runs. */
static bool is_deferred(int fd, const struct nd_sock *sock) {
    struct nd_tcp_info info;
    return nd_unlikely(sock->defers_connects) && nd_tcp_info_read(fd, &info) && info.state == TCP_SYN_SENT;
}

static int connect_observed(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len) {
    struct nd_observe observe;
    nd_time began = nd_now(), deadline;
    const enum nd_limit limit = nd_connect_bound(sock, began, &deadline);
    nd_observe_begin(&observe, ND_OPERATION_connect, fd, sock, limit);
    const int result = nd_real.connect(fd, addr, len);
    const nd_time now = nd_now();
    struct nd_expiry would = nd_connect_expiry(sock, began, now, addr, len);
    if (limit == ND_LIMIT_ESTABLISH) { /* of which the connect had a share only */
        if (now >= deadline)
            nd_expiry_report(fd, &would);
        would.timeout = 0;
    }
    nd_observe_end(&observe, result, would);
    const int error = errno;
    if (result == 0)
        connected(fd, sock);
    else
        nd_establish_note(sock, ND_ESTABLISH_FAILED);
    errno = error;
    return result;
}

static void note_attempt(struct nd_sock *sock, const struct sockaddr *addr, socklen_t len, nd_time began) {
    struct sockaddr_in6 peer; /* `addr` may be the record's */
    memset(&peer, 0, sizeof peer);
    memcpy(&peer, addr, len < sizeof peer ? len : sizeof peer);
    sock->peer = peer;
    sock->connect_began = began;
}

/* A connect has returned 0, or EISCONN. */
static void succeeded(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len) {
    if (!is_deferred(fd, sock)) {
        connected(fd, sock);
        return;
    }
    note_attempt(sock, addr, len, 0);
    sock->deferred = true;
    nd_sock_change(fd, sock, 0, ND_SOCK_CONNECTED | ND_SOCK_CONNECTING);
}

/* The attempt, which began at `began`, continues after the call: poll or another connect asks for its outcome. */
static void pending(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len, nd_time began) {
    note_attempt(sock, addr, len, began);
    sock->deferred = false;
    nd_kernel_timers_arm(fd, sock); /* for programs that set blocking mode once connected */
    nd_sock_change(fd, sock, ND_SOCK_CONNECTING, ND_SOCK_CONNECTED);
    nd_duplicates_update(fd, sock);
}

static void expire(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len, nd_time began) {
    const nd_time now = nd_now();
    struct nd_expiry expiry = nd_connect_expiry(sock, began, now, addr, len);
    nd_expiry_report(fd, &expiry);
    nd_expire_attempt(fd);
    nd_sock_change(fd, sock, 0, ND_SOCK_CONNECTING);
    nd_carry_over_end(fd, sock, ND_OUT);
    nd_establish_note(sock, ND_ESTABLISH_FAILED);
}

/* Whether a connect that has not succeeded leaves an attempt under way: not on AF_UNIX. */
static bool leaves_attempt(const struct nd_sock *sock) {
    return (nd_sock_flags(sock) & ND_SOCK_INET) != 0;
}

/* Whether an attempt is under way, for whose outcome the call waits. */
static bool is_under_way(const struct nd_sock *sock) {
    return (nd_sock_flags(sock) & ND_SOCK_CONNECTING) != 0;
}

/* The time from which CONNECT counts for a call that begins now. */
static nd_time connect_began(const struct nd_sock *sock, const struct sockaddr *addr, socklen_t len) {
    if (is_under_way(sock))
        return sock->connect_began;
    return leaves_attempt(sock) ? nd_now() : nd_carried_over_connect(sock, addr, len, nd_now());
}

/* No attempt is under way any more. */
static void failed(int fd, struct nd_sock *sock) {
    nd_sock_change(fd, sock, 0, ND_SOCK_CONNECTING);
    nd_establish_note(sock, ND_ESTABLISH_FAILED);
}

/* The call has failed. Where it left no attempt under way and may be repeated, the time since `began` is carried
 * over. */
static void not_connected(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len, nd_time began,
                          int error) {
    failed(fd, sock);
    if (!leaves_attempt(sock) && (error == EINTR || error == EAGAIN))
        nd_carry_over_connect(fd, sock, addr, len, nd_now() - began);
    else
        nd_carry_over_end(fd, sock, ND_OUT);
}

/* The command has changed the settings: the call is made anew, and waits for the same attempt. */
ND_COLD static void woken(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len, nd_time began) {
    if (leaves_attempt(sock))
        pending(fd, sock, addr, len, began);
    else
        not_connected(fd, sock, addr, len, began, EINTR);
    nd_kernel_timers_refresh(fd, sock);
}

static int connect_blocking(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len, nd_time began,
                            enum nd_slot_end *how) {
    *how = ND_SLOT_DONE;
    const bool again = is_under_way(sock);
    const nd_time deadline = nd_connect_deadline(sock, began);
    const uint32_t generation = sock->generation;
    struct nd_borrowed timer;
    bool bounded = deadline != ND_NEVER && nd_kernel_timers_borrow(fd, sock, &timer);
    if (bounded && !again && leaves_attempt(sock)) { /* longjmp may leave the call */
        note_attempt(sock, addr, len, began);
        nd_sock_change(fd, sock, ND_SOCK_CONNECTING, 0);
    }
    nd_time own = bounded && timer.own ? nd_time_after(nd_now(), timer.own * ND_USEC) : ND_NEVER;
    int result = bounded ? nd_connect_until(fd, addr, len, nd_time_sooner(own, deadline), own == ND_NEVER)
                         : nd_real.connect(fd, addr, len);
    int error = errno;
    if (!bounded && result != 0 && error == EINTR && nd_slots_woken())
        error = ERESTART;
    if (nd_unlikely(!nd_active)) { /* a seccomp filter was installed meanwhile */
        if (bounded && !nd_filter_everywhere)
            nd_real.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timer.before, sizeof timer.before);
        errno = error;
        return result;
    }
    bool expired = bounded && result != 0 && (nd_connect_goes_on(error) || error == EAGAIN) && nd_now() >= deadline &&
                   !nd_connect_is_established(fd);
    if (sock->generation != generation) { /* closed by another thread: the number may be another file's now */
        errno = expired ? ETIMEDOUT : error;
        return result;
    }
    if (bounded)
        nd_kernel_timers_return(fd, sock, &timer);
    if (result == 0) {
        succeeded(fd, sock, addr, len);
    } else if (error == ERESTART) {
        woken(fd, sock, addr, len, began);
        *how = ND_SLOT_UNCOUNTED;
    } else if (expired) {
        expire(fd, sock, addr, len, began);
        error = ETIMEDOUT;
        *how = ND_SLOT_EXPIRED;
    } else if (nd_connect_goes_on(error) && leaves_attempt(sock)) {
        nd_kernel_timers_backstop(fd, sock);
        pending(fd, sock, addr, len, began);
    } else {
        not_connected(fd, sock, addr, len, began, error);
        *how = error == EAGAIN ? ND_SLOT_QUIET : ND_SLOT_DONE; /* AF_UNIX, at the program's own timeout */
    }
    errno = error;
    return result;
}

/* A blocking connect, with its slot. `began`: when it began; 0: now. */
static int connect_waiting(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len, nd_time began) {
    struct nd_slot_use use;
    enum nd_slot_end how;
    if (nd_observing)
        return connect_observed(fd, sock, addr, len);
    nd_time deadline;
    began = began ? began : connect_began(sock, addr, len);
    const enum nd_limit limit = nd_connect_bound(sock, began, &deadline);
    nd_slot_begin(&use, ND_OPERATION_connect, fd, began, deadline, limit);
    int result = connect_blocking(fd, sock, addr, len, began, &how);
    nd_slot_end(&use, how, nd_now());
    return result;
}

/* Whether CONNECT has expired on the attempt under way, for a program that asks for its outcome by calling connect
 * again. */
static bool attempt_is_over(int fd, const struct nd_sock *sock) {
    struct nd_tcp_info info;
    return is_under_way(sock) && !nd_observing && nd_now() >= nd_connect_deadline(sock, sock->connect_began) &&
           nd_tcp_info_read(fd, &info) && info.state == TCP_SYN_SENT;
}

static int connect_nonblocking(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len) {
    if (attempt_is_over(fd, sock)) {
        expire(fd, sock, addr, len, sock->connect_began);
        errno = ETIMEDOUT;
        return -1;
    }
    if (leaves_attempt(sock) && !(nd_sock_flags(sock) & ND_SOCK_CONNECTING))
        nd_kernel_timers_backstop(fd, sock);
    int result = nd_real.connect(fd, addr, len), error = errno;
    if (result == 0 || error == EISCONN)
        succeeded(fd, sock, addr, len);
    else if (error == EINPROGRESS) /* a new attempt; for one under way it is EALREADY */
        pending(fd, sock, addr, len, nd_now());
    else if (!nd_connect_goes_on(error))
        failed(fd, sock);
    errno = error;
    return result;
}

/* Whether a connect may wait: not on a datagram socket (SO_RCVTIMEO was set on it when it was created), nor with an
 * address that the kernel refuses, which may be an invalid pointer. */
static bool waits_to_connect(const struct nd_sock *sock, const struct sockaddr *addr, socklen_t len) {
    uint32_t flags = nd_sock_flags(sock);
    return (flags & ND_SOCK_STREAM) && (flags & (ND_SOCK_INET | ND_SOCK_LOCAL)) && len >= sizeof addr->sa_family &&
           len <= sizeof(struct sockaddr_storage) && nd_readable(addr, len) && addr->sa_family != AF_UNSPEC;
}

/* A connect on a socket that a deadline ended. Where the deadline ended a connect under way, this call asks for its
 * outcome: true, with errno ETIMEDOUT. Otherwise, and in the next call, it begins a new connection. */
static bool is_expired_attempt(int fd, struct nd_sock *sock) {
    if (!nd_expired(fd, sock))
        return false;
    bool tell = !(nd_sock_flags(sock) & (ND_SOCK_DELIVERED_ERROR | ND_SOCK_CONNECTED));
    nd_expiry_clear(fd, sock);
    if (tell) {
        nd_expire_attempt(fd);
        errno = ETIMEDOUT;
    }
    return tell;
}

/* The config file may have limits for the peer. An attempt under way keeps those that it began with. */
static void choose_profile(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len) {
    if (nd_rules.count > 0 && !(nd_sock_flags(sock) & ND_SOCK_CONNECTING))
        nd_kernel_timers_profile(fd, sock, nd_profile_to(addr, len));
}

/* A connect that does not wait. A datagram socket has a peer after it. */
static int connect_at_once(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len) {
    int result = nd_real.connect(fd, addr, len);
    if (result != 0 || !sock || (nd_sock_flags(sock) & ND_SOCK_STREAM))
        return result;
    choose_profile(fd, sock, addr, len);
    if (nd_sock_is_datagram(sock))
        nd_datagram_connected(fd, sock, addr->sa_family != AF_UNSPEC);
    return result;
}

static struct nd_sock *known(int fd) {
    struct nd_sock *sock = nd_sock_lookup(fd);
    return sock && (nd_sock_flags(sock) & ND_SOCK_KNOWN) ? sock : nd_sock_discover(fd);
}

/* Begins an attempt under ESTABLISH, and sets *began. Returns false where the time of the name is up: the connect fails
 * with errno. */
ND_COLD static bool begin_establishing(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len,
                                       nd_time *began) {
    struct nd_endpoint_address address;
    if (is_under_way(sock) || !leaves_attempt(sock) || !nd_endpoint_address_of(addr, len, &address))
        return true;
    *began = nd_now();
    if (nd_establish_attempt(sock, &address, nd_establish_thread(), !nd_observing, *began))
        return true;
    const struct nd_expiry expiry = nd_connect_expiry(sock, *began, *began, addr, len);
    nd_expiry_report(fd, &expiry);
    errno = ETIMEDOUT;
    return false;
}

ND_COLD static int connect_watched(int fd, const struct sockaddr *addr, socklen_t len) {
    nd_live_check();
    struct nd_sock *sock = known(fd);
    if (!sock || !waits_to_connect(sock, addr, len))
        return connect_at_once(fd, sock, addr, len);
    if ((nd_sock_flags(sock) & ND_SOCK_EXPIRED) && is_expired_attempt(fd, sock))
        return -1;
    sock = known(fd); /* the record may have been another socket's */
    if (!sock)
        return nd_real.connect(fd, addr, len);
    choose_profile(fd, sock, addr, len);
    nd_time began = 0;
    if (nd_unlikely(nd_sock_establish_limit(sock)) && !begin_establishing(fd, sock, addr, len, &began))
        return -1;
    if (nd_sock_flags(sock) & ND_SOCK_BORROWED)
        nd_kernel_timers_give_back(fd, sock);
    bool blocking = !nd_nonblocking(fd);
    nd_sock_change(fd, sock, blocking ? 0 : ND_SOCK_NONBLOCK, blocking ? ND_SOCK_NONBLOCK : 0);
    return blocking ? connect_waiting(fd, sock, addr, len, began) : connect_nonblocking(fd, sock, addr, len);
}

/* The record of a stream that a send with an address connects; NULL where CONNECT does not bound it. */
static struct nd_sock *unconnected(int fd, const struct sockaddr *addr, socklen_t len) {
    struct nd_sock *sock = known(fd);
    const bool bounded = sock && !nd_observing && waits_to_connect(sock, addr, len) && leaves_attempt(sock) &&
                         !(nd_sock_flags(sock) & (ND_SOCK_CONNECTED | ND_SOCK_CONNECTING));
    return bounded ? sock : NULL;
}

ND_COLD ssize_t nd_connect_by_send(int fd, const struct sockaddr *addr, socklen_t len, bool wait,
                                   nd_connecting_send *send, const void *call) {
    struct nd_sock *sock = unconnected(fd, addr, len);
    if (!sock || ((nd_sock_flags(sock) & ND_SOCK_EXPIRED) && nd_expired(fd, sock)))
        return send(call);
    nd_time began = 0;
    if (nd_unlikely(nd_sock_establish_limit(sock)) && !begin_establishing(fd, sock, addr, len, &began))
        return -1;
    wait = wait && !nd_nonblocking(fd);
    nd_sock_change(fd, sock, wait ? 0 : ND_SOCK_NONBLOCK, wait ? ND_SOCK_NONBLOCK : 0);
    const uint32_t generation = sock->generation;
    began = began ? began : nd_now();
    const nd_time deadline = nd_connect_deadline(sock, began);
    struct nd_borrowed timer;
    bool bounded = wait && deadline != ND_NEVER && nd_kernel_timers_borrow(fd, sock, &timer);
    if (!wait)
        nd_kernel_timers_backstop(fd, sock);
    if (bounded && (!timer.own || nd_time_after(began, timer.own * ND_USEC) > deadline))
        nd_connect_set_timer(fd, deadline - began);
    ssize_t result = send(call);
    int error = errno;
    if (sock->generation == generation) {
        if (bounded)
            nd_kernel_timers_return(fd, sock, &timer);
        if (bounded && result < 0 && (nd_connect_goes_on(error) || error == EAGAIN) && nd_now() >= deadline) {
            expire(fd, sock, addr, len, began);
            error = ETIMEDOUT;
        } else if (result >= 0 || nd_connect_goes_on(error)) {
            if (nd_connect_is_established(fd))
                connected(fd, sock);
            else /* with a Fast Open cookie the send succeeds before anything was received from the peer */
                pending(fd, sock, addr, len, began);
        }
    }
    errno = error;
    return result;
}

ssize_t nd_connect_deferred(int fd, struct nd_sock *sock, bool wait, nd_connecting_send *send, const void *call) {
    const struct sockaddr_in6 peer = sock->peer;
    const uint32_t generation = sock->generation;
    const ssize_t result = nd_connect_by_send(fd, (const struct sockaddr *)&peer, sizeof peer, wait, send, call);
    if (sock->deferred && sock->generation == generation) { /* it has failed */
        sock->deferred = false;
        nd_sock_change(fd, sock, 0, 0);
    }
    return result;
}

int nd_connect(int fd, const struct sockaddr *addr, socklen_t len) {
    const int saved = errno;
    int result;
    do
        result = connect_watched(fd, addr, len);
    while (nd_starts_over(result));
    return (int)nd_keep_errno(result, saved);
}
