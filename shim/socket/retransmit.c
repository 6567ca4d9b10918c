#include "shim/socket/retransmit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/syscall.h>

#include "shim/mode.h"
#include "shim/raw.h"
#include "shim/real.h"
#include "shim/socket/limits.h"

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

static bool set(int fd, int value) {
    return nd_real.setsockopt(fd, IPPROTO_TCP, RTO_MAX_MS, &value, sizeof value) == 0;
}

void nd_retransmit_bound(int fd, struct nd_sock *sock) {
    const int saved = errno;
    const uint32_t flags = nd_sock_flags(sock);
    const nd_time limit = nd_sock_limits(sock)->unacked;
    int own = 0, ours;
    socklen_t len = sizeof own;
    if (nd_observing || !limit || !(flags & ND_SOCK_INET) || !(flags & ND_SOCK_STREAM) || sock->own_rto_max)
        return;
    if (nd_real.getsockopt(fd, IPPROTO_TCP, RTO_MAX_MS, &own, &len) == 0 &&
        (ours = nd_retransmit_longest(limit, retries())) > 0 && ours < own && set(fd, ours))
        sock->own_rto_max = own;
    errno = saved;
}

void nd_retransmit_restore(int fd, struct nd_sock *sock) {
    const int saved = errno;
    if (sock->own_rto_max)
        set(fd, sock->own_rto_max);
    sock->own_rto_max = 0;
    errno = saved;
}

bool nd_retransmit_read_back(const struct nd_sock *sock, int level, int name, int *own) {
    *own = sock->own_rto_max;
    return *own && level == IPPROTO_TCP && name == RTO_MAX_MS;
}

bool nd_retransmit_program_set(struct nd_sock *sock, int level, int name) {
    if (level != IPPROTO_TCP || name != RTO_MAX_MS)
        return false;
    sock->own_rto_max = 0;
    return true;
}
