#include "shim/socket/retransmit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "shim/mode.h"
#include "shim/raw.h"
#include "shim/socket/limits.h"
#include "shim/socket/option.h"

enum { RTO_MAX_MS = 44 };                                            /* TCP_RTO_MAX_MS, which older headers lack */
enum { SHORTEST = 1000, LONGEST = 120000, STEP = 100, FIRST = 200 }; /* what the kernel takes; TCP_RTO_MIN */

/* How long the kernel retransmits (tcp_model_timeout): the time between two is doubled from the first on, up to
 * `longest`. Milliseconds. */
static int64_t time_of(int longest, int retries) {
    int doublings = 0;
    while (FIRST << (doublings + 1) <= longest)
        doublings++;
    if (retries <= doublings)
        return ((INT64_C(2) << retries) - 1) * FIRST;
    return ((INT64_C(2) << doublings) - 1) * FIRST + (int64_t)(retries - doublings) * longest;
}

int nd_retransmit_longest(nd_time limit, int retries) {
    const int64_t ms = (limit + ND_MSEC - 1) / ND_MSEC;
    int longest = SHORTEST;
    if (retries <= 0)
        return 0;
    while (longest < LONGEST && time_of(longest, retries) < ms)
        longest += STEP;
    return longest < LONGEST ? longest : 0;
}

/* net.ipv4.tcp_retries2; 0: not known. */
static int retries(void) {
    char text[16];
    int number = 0;
    const int fd = (int)ND_RAW6(openat, AT_FDCWD, "/proc/sys/net/ipv4/tcp_retries2", O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0)
        return 0;
    const long length = ND_RAW3(read, fd, text, sizeof text);
    ND_RAW3(close, fd, 0, 0);
    for (long i = 0; i < length && text[i] >= '0' && text[i] <= '9' && number < 1000; i++)
        number = number * 10 + (text[i] - '0');
    return number;
}

static bool set(int fd, struct nd_sock *sock, int value) {
    sock->rto_max = value;
    return nd_option_set(fd, IPPROTO_TCP, RTO_MAX_MS, value) == 0;
}

/* The program's own value, where `sock` is one on which UNACKED holds, and the kernel has the option; else 0. */
static int own_longest(int fd, const struct nd_sock *sock) {
    const uint32_t tcp = ND_SOCK_STREAM | ND_SOCK_INET;
    const bool holds =
        nd_active && !nd_observing && nd_sock_limits(sock)->unacked && (nd_sock_flags(sock) & tcp) == tcp;
    return holds ? nd_option_get(fd, IPPROTO_TCP, RTO_MAX_MS, 0) : 0;
}

/* Restores the program's own value. */
static void restore(int fd, struct nd_sock *sock) {
    const int own = sock->own_rto_max;
    if (own)
        set(fd, sock, abs(own));
    sock->own_rto_max = 0;
}

void nd_retransmit_bound(int fd, struct nd_sock *sock) {
    const int saved = errno;
    int own, ours;
    if (sock->own_rto_max < 0)
        restore(fd, sock);
    if (!sock->own_rto_max && (own = own_longest(fd, sock)) > 0 &&
        (ours = nd_retransmit_longest(nd_sock_limits(sock)->unacked, retries())) > 0 && ours < own &&
        set(fd, sock, ours))
        sock->own_rto_max = own;
    errno = saved;
}

/* The kernel's timers are late by up to an eighth of their time, and by a quarter of that on average. */
#define LATE_PART 32

int nd_retransmit_spread(const struct nd_tcp_info *info, nd_time unacked, nd_time limit, int shortest) {
    nd_time step = nd_tcp_next_timeout(info), next = unacked + step - nd_tcp_timer_runs_for(info);
    if (2 * nd_tcp_first_timeout(info) > shortest * ND_MSEC)
        return 0;
    for (step *= 2; step < shortest * ND_MSEC && next + step < limit; step *= 2)
        next += step;
    const nd_time left = limit - next - (limit - next) / LATE_PART, count = left / (shortest * ND_MSEC);
    return count > 0 ? (int)(left / count / ND_MSEC) : shortest;
}

/* Silence for this part of the limit is longer than a round trip. */
#define SILENT_PART 32

/* The kernel may not give up before an answer is awaited no more (nd_tcp_answer_awaited). */
#define SPARE ND_SEC

static void hasten(int fd, struct nd_sock *sock, const struct nd_tcp_info *info, nd_time unacked, nd_time limit) {
    const int own = own_longest(fd, sock), shortest = own ? nd_retransmit_longest(limit + SPARE, retries()) : 0;
    const int ours = shortest ? nd_retransmit_spread(info, unacked, limit, shortest) : 0;
    if (ours && ours < own && set(fd, sock, ours))
        sock->own_rto_max = -own;
}

void nd_retransmit_follow(int fd, struct nd_sock *sock, const struct nd_tcp_info *info, nd_time unacked,
                          nd_time limit) {
    const int saved = errno;
    if (unacked == 0 && sock->own_rto_max < 0)
        restore(fd, sock);
    else if (unacked >= limit / SILENT_PART && unacked < limit && !sock->own_rto_max)
        hasten(fd, sock, info, unacked, limit);
    errno = saved;
}

void nd_retransmit_renew(int fd, struct nd_sock *sock) {
    const int saved = errno, own = sock->own_rto_max;
    restore(fd, sock);
    if (own > 0)
        nd_retransmit_bound(fd, sock);
    errno = saved;
}

bool nd_retransmit_read_back(const struct nd_sock *sock, int level, int name, int *own) {
    const int value = sock->own_rto_max;
    *own = abs(value);
    return *own && level == IPPROTO_TCP && name == RTO_MAX_MS;
}

bool nd_retransmit_program_set(struct nd_sock *sock, int level, int name) {
    if (level != IPPROTO_TCP || name != RTO_MAX_MS)
        return false;
    sock->own_rto_max = 0;
    return true;
}
