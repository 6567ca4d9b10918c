#include "shim/wait/wait.h"

#include <fcntl.h>
#include <poll.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "shim/limit/gone.h"
#include "shim/mode.h"
#include "shim/poll.h"
#include "shim/real.h"
#include "shim/report/slots.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/socket/profile.h"
#include "shim/wait/signals.h"

/* How long a wait sleeps first where poll has reported the descriptor ready this often and the call moved nothing: for
 * input, since other threads that receive on the socket may have been faster each time. */
#define PAUSE_MS 10
enum { FRUITLESS_IN = 16, FRUITLESS_OUT = 1 };

/* After so many interruptions in a row that the program does not see it is another call that waits: one that always
 * fails with EINTR, as a seccomp filter may make it, must not be made again for ever. */
enum { INTERRUPTIONS = 100 };

static int wait_once(struct pollfd *pollfd, nd_time now, nd_time until, int interruptions) {
    if (nd_likely(interruptions < INTERRUPTIONS))
        return nd_poll_until(pollfd, now, until);
    const int ready = nd_select_until(pollfd, now, until);
    if (ready < 0 && errno == EINTR)
        nd_pause(1);
    return ready;
}

static bool has_input(const struct nd_wait *wait) {
    struct pollfd pollfd = {.fd = wait->fd, .events = wait->events};
    return (wait->events & POLLIN) && nd_poll_now(&pollfd) > 0;
}

/* Whether a limit has fired at `now`; else sets *next to the time of the next check. The limits on the connection are
 * not checked where there is input: LIFETIME fires only once, and the next call would not find it. */
static bool has_fired(struct nd_wait *wait, nd_time now, nd_time *next) {
    *next = wait->deadline ? wait->deadline : ND_NEVER;
    if (now >= *next) {
        wait->expiry.elapsed += now - *next;
        return true;
    }
    if (wait->fired && wait->fired(wait, now, next))
        return true;
    if (wait->events & POLLIN) {
        if (nd_gone_check(wait->fd, wait->sock, now, &wait->expiry))
            return true;
        *next = nd_time_sooner(*next, nd_gone_due(wait->sock, now));
    }
    if (!nd_sock_connection_limited(wait->sock))
        return false;
    const nd_time due = nd_connection_limits_due(wait->sock, now);
    *next = nd_time_sooner(*next, due);
    return now >= due &&
           (has_input(wait) || nd_connection_limits_check(wait->fd, wait->sock, true, now, &wait->expiry));
}

/* As has_fired. In MODE=observe, which may have been set during the wait, an expiry is reported, once, and nothing is
 * ended. */
static bool is_over(struct nd_wait *wait, nd_time now, nd_time *next) {
    if (nd_likely(!nd_observing))
        return has_fired(wait, now, next);
    if (!wait->observed && has_fired(wait, now, next)) {
        if (!wait->expiry.operation)
            wait->expiry.operation = nd_operation_names[wait->operation];
        nd_expiry_report(wait->fd, &wait->expiry);
        wait->observed = true;
    }
    if (wait->observed)
        *next = ND_NEVER;
    return false;
}

/* Settings that the command has changed meanwhile hold for the wait, too. Where the call has borrowed SO_SNDTIMEO the
 * socket's own timers are left for the next call. */
static void catch_up(struct nd_wait *wait) {
    nd_live_check();
    if (nd_likely(wait->settings == nd_settings_generation))
        return;
    wait->settings = nd_settings_generation;
    wait->observed = false;
    if (nd_sock_flags(wait->sock) & ND_SOCK_BORROWED)
        nd_profile_renew();
    else
        nd_kernel_timers_refresh(wait->fd, wait->sock);
    if (wait->renew)
        wait->renew(wait);
}

static enum nd_waited fail(enum nd_waited how, int error) {
    errno = error;
    return how;
}

static enum nd_waited wait_for(struct nd_wait *wait) {
    if (nd_unlikely(!nd_active) || nd_unlikely(wait->own < 0)) /* the kernel knows the program's own timeout */
        return ND_UNPOLLABLE;
    bool pauses = wait->fruitless++ >= (wait->events & POLLIN ? FRUITLESS_IN : FRUITLESS_OUT);
    int interruptions = 0;
    nd_time now = nd_now();
    if (wait->events & POLLIN)
        nd_gone_wait_begins(wait->sock, now);
    for (;; pauses = false) {
        struct pollfd pollfd = {.fd = wait->fd, .events = wait->events};
        nd_time next;
        catch_up(wait);
        if (is_over(wait, now, &next))
            return has_input(wait) ? ND_READY : ND_EXPIRED;
        if (now >= wait->own)
            return fail(ND_OWN_TIMEOUT, EAGAIN);
        const int ready = nd_unlikely(pauses) ? nd_pause(PAUSE_MS)
                                              : wait_once(&pollfd, now, nd_time_sooner(next, wait->own), interruptions);
        const int error = errno;
        if (nd_unlikely(!nd_active)) /* another thread has installed a seccomp filter meanwhile */
            return ND_UNPOLLABLE;
        if (!nd_sock_held(wait->fd, wait->sock, &wait->hold))
            return fail(ND_REPLACED, EBADF);
        const nd_time began = now;
        now = nd_now();
        if (nd_sock_connection_limited(wait->sock))
            nd_connection_limits_waited(wait->sock, began, now);
        if (ready < 0 && error != EINTR)
            return ND_UNPOLLABLE;
        const bool woken = ready < 0 && nd_slots_woken();
        if (woken && wait->anew)
            return fail(ND_WOKEN, ERESTART);
        if (ready < 0 && !woken &&
            (wait->moved || wait->shows_interruptions || wait->own != ND_NEVER || !nd_signals_restart()))
            return fail(ND_INTERRUPTED, EINTR);
        interruptions += ready < 0 && !woken;
        if (ready > 0)
            return pollfd.revents & POLLHUP ? ND_ENDED_STREAM : ND_READY;
    }
}

enum nd_waited nd_wait_for(struct nd_wait *wait) {
    wait->how = wait_for(wait);
    if (wait->how == ND_EXPIRED && !wait->expiry.operation) /* else a TLS operation */
        wait->expiry.operation = nd_operation_names[wait->operation];
    return wait->how;
}

bool nd_nonblocking(int fd) {
    int saved = errno;
    int status = nd_real.fcntl(fd, F_GETFL, NULL);
    errno = saved;
    return status >= 0 && (status & O_NONBLOCK);
}
