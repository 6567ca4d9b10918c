#include "shim/socket/keepalive.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "shim/raw.h"
#include "shim/socket/change.h"
#include "shim/socket/limits.h"
#include "shim/socket/option.h"

enum { ON, IDLE, INTERVAL, COUNT, OPTIONS };
enum { LONGEST = 32767, MOST_PROBES = 127 }; /* the kernel's MAX_TCP_KEEPIDLE and so on */

static const int options[OPTIONS][2] = {
    {SOL_SOCKET, SO_KEEPALIVE}, {IPPROTO_TCP, TCP_KEEPIDLE}, {IPPROTO_TCP, TCP_KEEPINTVL}, {IPPROTO_TCP, TCP_KEEPCNT}};
_Static_assert(OPTIONS == sizeof(((struct nd_sock *)0)->own_keepalive) / sizeof(int), "one own value for each");

/* A record keeps value + 1; 0 for an option that the program has not set. */
static bool has_own(const struct nd_sock *sock, int option) {
    return sock->own_keepalive[option] != 0;
}

static int own(const struct nd_sock *sock, int option) {
    return sock->own_keepalive[option] - 1;
}

/* What a socket has whose program sets nothing: net.ipv4.tcp_keepalive_time and its kin, as a new socket of this
 * network namespace shows them. Asked for only when the program reads such an option, or switches keepalive off. */
static int kernel_default(int option) {
    static const int usual[OPTIONS] = {0, 7200, 75, 9};
    const int fd = option == ON ? -1 : (int)ND_RAW3(socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return usual[option];
    const int value = nd_option_get(fd, options[option][0], options[option][1], usual[option]);
    ND_RAW3(close, fd, 0, 0);
    return value;
}

static int own_or_default(const struct nd_sock *sock, int option) {
    return has_own(sock, option) ? own(sock, option) : kernel_default(option);
}

static int set(int fd, int option, int value) {
    return nd_option_set(fd, options[option][0], options[option][1], value);
}

static int seconds(nd_time time) {
    const nd_time rounded = (time + ND_SEC - 1) / ND_SEC;
    return rounded < 1 ? 1 : rounded > LONGEST ? LONGEST : (int)rounded;
}

/* So many probes are sent within UNACKED: one more lasts a part of it. */
enum { TIMES = 30 };

/* The values of KEEPALIVE. From the first probe to the last there are no less than UNACKED: a peer that is out of reach
 * for less answers one of them. Without UNACKED there are five at a tenth of KEEPALIVE. */
static void ours(const struct nd_limits *limits, int values[OPTIONS]) {
    const int idle = seconds(limits->keepalive), probing = limits->unacked ? seconds(limits->unacked) : 0;
    values[ON] = 1;
    values[IDLE] = idle;
    values[INTERVAL] = probing ? (probing + TIMES - 1) / TIMES : idle < 20 ? 1 : idle / 10;
    values[COUNT] = probing ? (probing + values[INTERVAL] - 1) / values[INTERVAL] + 1 : 5;
}

/* Of a program that uses keepalive itself: the shorter silence, and the shorter time of probing. */
static void shorten(const struct nd_sock *sock, int values[OPTIONS]) {
    if (!has_own(sock, ON))
        return;
    if (has_own(sock, IDLE) && own(sock, IDLE) < values[IDLE])
        values[IDLE] = own(sock, IDLE);
    const long probing = (long)values[INTERVAL] * values[COUNT];
    if (!has_own(sock, INTERVAL) && !has_own(sock, COUNT))
        return;
    /* One value alone may show that the time is not the shorter one: the kernel's other need not be asked for. */
    if ((has_own(sock, INTERVAL) && own(sock, INTERVAL) >= probing) ||
        (has_own(sock, COUNT) && own(sock, COUNT) >= probing))
        return;
    const int interval = own_or_default(sock, INTERVAL), count = own_or_default(sock, COUNT);
    if ((long)interval * count < probing) {
        values[INTERVAL] = interval;
        values[COUNT] = count > MOST_PROBES ? MOST_PROBES : count;
    }
}

/* The values that are in force by `limits`, seconds and a count of probes. */
static void compute(const struct nd_sock *sock, const struct nd_limits *limits, int values[OPTIONS]) {
    ours(limits, values);
    shorten(sock, values);
}

void nd_keepalive_arm(int fd, struct nd_sock *sock, const struct nd_limits *limits) {
    const int saved = errno;
    int values[OPTIONS];
    if ((nd_sock_flags(sock) & ND_SOCK_KEEPALIVE) || !limits->keepalive || (has_own(sock, ON) && !own(sock, ON)))
        return;
    compute(sock, limits, values);
    int option = COUNT;
    while (option >= ON && set(fd, option, values[option]) == 0)
        option--;
    if (option < ON)
        nd_sock_change(fd, sock, ND_SOCK_KEEPALIVE, 0);
    errno = saved;
}

void nd_keepalive_times(const struct nd_sock *sock, const struct nd_limits *limits, nd_time *silence,
                        nd_time *probing) {
    int values[OPTIONS];
    compute(sock, limits, values);
    *silence = values[IDLE] * ND_SEC;
    *probing = (nd_time)values[INTERVAL] * values[COUNT] * ND_SEC;
}

void nd_keepalive_disarm(int fd, struct nd_sock *sock) {
    const int saved = errno;
    for (int option = COUNT; option >= ON && (nd_sock_flags(sock) & ND_SOCK_KEEPALIVE); option--)
        set(fd, option, own_or_default(sock, option));
    nd_sock_change(fd, sock, 0, ND_SOCK_KEEPALIVE);
    errno = saved;
}

void nd_keepalive_discover(int fd, struct nd_sock *sock) {
    const int saved = errno;
    for (int option = ON; option < OPTIONS; option++) {
        const int value = nd_option_get(fd, options[option][0], options[option][1], -1);
        if (value >= 0)
            sock->own_keepalive[option] = option == ON && !value ? 0 : value + 1;
    }
    errno = saved;
}

void nd_keepalive_inherit(const struct nd_sock *listener, struct nd_sock *sock) {
    for (int option = ON; option < OPTIONS; option++)
        sock->own_keepalive[option] = atomic_load_explicit(&listener->own_keepalive[option], memory_order_relaxed);
}

static int option_of(int level, int name) {
    for (int option = ON; option < OPTIONS; option++)
        if (options[option][0] == level && options[option][1] == name)
            return option;
    return -1;
}

/* The program has set `option` to `value` where ours stood: sets what differs from before, so that a server that sets all
 * four on each connection pays for two system calls. Live changes may have changed the limits since ours were set; then
 * all are set. */
static void renew(int fd, struct nd_sock *sock, int option, int value) {
    const struct nd_limits *limits = nd_sock_keepalive_limits(sock);
    const int saved = errno;
    int before[OPTIONS], values[OPTIONS];
    compute(sock, limits, before);
    sock->own_keepalive[option] = value + 1;
    if (nd_settings_generation || !limits->keepalive) {
        nd_sock_change(fd, sock, 0, ND_SOCK_KEEPALIVE);
        nd_keepalive_arm(fd, sock, limits);
        return;
    }
    before[option] = value;
    compute(sock, limits, values);
    for (int i = COUNT; i >= ON; i--)
        if (values[i] != before[i])
            set(fd, i, values[i]);
    errno = saved;
}

bool nd_keepalive_program_set(int fd, struct nd_sock *sock, int level, int name, const void *what) {
    const int option = option_of(level, name);
    if (option < 0)
        return false;
    const int value = option == ON ? *(const int *)what != 0 : *(const int *)what;
    const bool stands = nd_sock_flags(sock) & ND_SOCK_KEEPALIVE;
    if (stands && !(option == ON && !value))
        renew(fd, sock, option, value);
    else
        sock->own_keepalive[option] = value + 1;
    if (option == ON && !value)
        nd_keepalive_disarm(fd, sock);
    return true;
}

bool nd_keepalive_read_back(const struct nd_sock *sock, int level, int name, int *value) {
    const int option = nd_sock_flags(sock) & ND_SOCK_KEEPALIVE ? option_of(level, name) : -1;
    if (option < 0)
        return false;
    const int saved = errno;
    *value = own_or_default(sock, option);
    errno = saved;
    return true;
}
