#include "shim/call/connect_until.h"

#include "base/compiler.h"
#include "shim/mode.h"
#include "shim/poll.h"
#include "shim/report/slots.h"
#include "shim/socket/option.h"
#include "shim/socket/tcp_info.h"
#include "shim/wait/signals.h"

int nd_connect_set_timer(int fd, nd_time time) {
    const int64_t usec = (time + ND_USEC - 1) / ND_USEC;
    return nd_option_set_timeout(fd, SO_SNDTIMEO, usec < 1 ? 1 : usec); /* 0 would mean no timeout */
}

bool nd_connect_is_established(int fd) {
    struct nd_tcp_info info;
    return nd_tcp_info_read(fd, &info) && nd_tcp_established(&info);
}

/* A tick of kernels with HZ=100: a timer of theirs may fire that much early. */
#define TICK (10 * ND_MSEC)

/* A seccomp filter was installed while the call waited: it goes on, unbounded. Where SO_SNDTIMEO must stay, that wakes
 * it. */
ND_COLD static int connect_under_filter(int fd, const struct sockaddr *addr, socklen_t len) {
    if (!nd_filter_everywhere)
        nd_option_set_timeout(fd, SO_SNDTIMEO, 0);
    int result;
    do
        result = nd_real.connect(fd, addr, len);
    while (result != 0 && errno == EINPROGRESS);
    return result;
}

/* After so many interruptions a connect is not made again at once: it may always fail with EINTR, as a seccomp filter
 * may make it. */
enum { INTERRUPTIONS = 100 };

int nd_connect_until(int fd, const struct sockaddr *addr, socklen_t len, nd_time deadline, bool restarts) {
    for (int interruptions = 0;; interruptions++) {
        if (nd_unlikely(interruptions >= INTERRUPTIONS))
            nd_pause(1);
        if (nd_connect_set_timer(fd, deadline - nd_now()) != 0)
            return nd_real.connect(fd, addr, len);
        const int result = nd_real.connect(fd, addr, len), error = errno;
        if (result == 0 || !(nd_connect_goes_on(error) || error == EAGAIN)) /* EAGAIN: AF_UNIX, the backlog is full */
            return result;
        const bool interrupted = error == EINTR;
        if (interrupted && nd_slots_woken()) {
            errno = ERESTART;
            return -1;
        }
        const nd_time now = nd_now();
        errno = error;
        if (nd_unlikely(!nd_active))
            return interrupted ? result : connect_under_filter(fd, addr, len);
        if (interrupted ? !(restarts && nd_signals_restart()) : now < deadline - TICK)
            return result;
        if (now >= deadline && !nd_connect_is_established(fd)) { /* else the kernel's timer was early: connect again */
            errno = interrupted ? EINPROGRESS : error;
            return -1;
        }
    }
}
