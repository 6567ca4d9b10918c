/* getsockopt, setsockopt: the program reads back the options that it has set, not those of the library, and the error
 * of a deadline. */
#include <string.h>

#include "shim/hook/hook.h"
#include "shim/limit/expiry.h"
#include "shim/limit/wait_clock.h"
#include "shim/report/operations.h"
#include "shim/socket/change.h"
#include "shim/socket/duplicates.h"
#include "shim/socket/ended.h"
#include "shim/socket/keepalive.h"
#include "shim/socket/kernel_timers.h"

#define FASTOPEN_CONNECT 30 /* TCP_FASTOPEN_CONNECT, which old headers lack */

#define TIMED (ND_SOCK_RCVTIMEO | ND_SOCK_SNDTIMEO | ND_SOCK_SYNCNT | ND_SOCK_KEEPALIVE)

/* SO_ERROR of a stream that a deadline has ended is ETIMEDOUT once, in place of the ECONNRESET that ending it has left.
 * An ETIMEDOUT of the kernel's is noted, because reading SO_ERROR clears it, and the next receive would return an end
 * of file. */
static void report_error(int fd, struct nd_sock *sock, void *value, socklen_t len) {
    int error;
    if (len < sizeof error)
        return;
    memcpy(&error, value, sizeof error);
    bool expired = error == ECONNRESET ? nd_expired_anywhere(fd, sock) : nd_expired(fd, sock);
    if (expired && !(nd_sock_flags(sock) & ND_SOCK_DELIVERED_ERROR)) {
        error = ETIMEDOUT;
        memcpy(value, &error, sizeof error);
        nd_sock_change(fd, sock, ND_SOCK_DELIVERED_ERROR, 0);
    } else if (error == ETIMEDOUT && (nd_sock_flags(sock) & ND_SOCK_KEEPALIVE)) {
        nd_expiry_by_timer_found(fd, sock, nd_operation_names[ND_OPERATION_poll]);
        nd_sock_change(fd, sock, ND_SOCK_DELIVERED_ERROR, 0);
    } else if (error == 0) { /* the program has read it to learn whether its connect has succeeded */
        nd_wait_clock_settle_connect(fd, sock);
    }
}

int nd_hook_getsockopt(int fd, int level, int name, void *value, socklen_t *len) {
    int result = nd_real.getsockopt(fd, level, name, value, len);
    struct nd_sock *sock = result == 0 ? nd_sock_lookup(fd) : NULL;
    uint32_t flags = sock ? nd_sock_flags(sock) : 0;
    if (nd_unlikely(flags & ND_SOCK_STREAM) && level == SOL_SOCKET && name == SO_ERROR)
        report_error(fd, sock, value, *len);
    else if (nd_unlikely(flags & (TIMED | ND_SOCK_EXPIRED)) || (sock && nd_unlikely(sock->own_rto_max)))
        nd_kernel_timers_read_back(sock, level, name, value, len);
    return result;
}

static void note(int fd, struct nd_sock *sock, uint32_t flag, bool holds) {
    nd_sock_change(fd, sock, holds ? flag : 0, holds ? 0 : flag);
}

/* Called when the kernel has accepted, and so read, `value`. */
static void program_set(int fd, struct nd_sock *sock, int level, int name, const void *value) {
    const uint32_t flags = nd_sock_flags(sock);
    if (level == SOL_SOCKET && name == SO_LINGER)
        note(fd, sock, ND_SOCK_LINGER, *(const int *)value != 0);
    else if (level == SOL_SOCKET && name == SO_RCVLOWAT)
        note(fd, sock, ND_SOCK_LOWAT,
             *(const unsigned *)value > 1 && (flags & ND_SOCK_INET) && (flags & ND_SOCK_STREAM));
    else if (level == IPPROTO_TCP && name == FASTOPEN_CONNECT)
        sock->defers_connects = *(const int *)value != 0;
    else if (!(flags & ND_SOCK_STREAM && flags & ND_SOCK_INET &&
               nd_keepalive_program_set(fd, sock, level, name, value)) &&
             !nd_kernel_timers_program_set(fd, sock, level, name))
        return;
    nd_duplicates_update(fd, sock);
}

int nd_hook_setsockopt(int fd, int level, int name, const void *value, socklen_t len) {
    int result = nd_real.setsockopt(fd, level, name, value, len);
    struct nd_sock *sock = result == 0 ? nd_sock_lookup(fd) : NULL;
    if (sock && (nd_sock_flags(sock) & ND_SOCK_KNOWN))
        program_set(fd, sock, level, name, value);
    return result;
}
#ifdef __i386__
ND_ALIAS_OF(__getsockopt64, getsockopt);
ND_ALIAS_OF(__setsockopt64, setsockopt);
#endif
