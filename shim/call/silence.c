#include "shim/call/silence.h"

#include <poll.h>

#include "shim/limit/carry_over.h"
#include "shim/report/slots.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/socket/tcp_info.h"
#include "shim/wait/signals.h"

bool nd_silence_is_known(const struct nd_sock *sock) {
    const uint32_t tcp = ND_SOCK_STREAM | ND_SOCK_INET;
    return (nd_sock_flags(sock) & tcp) == tcp;
}

nd_time nd_silence_of(int fd, const struct nd_sock *sock, nd_time elapsed) {
    struct nd_tcp_info info;
    if (!nd_silence_is_known(sock) || !nd_tcp_info_read(fd, &info))
        return elapsed;
    return nd_time_sooner(elapsed, info.last_data_recv + ND_MSEC); /* the kernel rounds down to ms */
}

/* RECV bounds the silence of the connection, a TLS operation the whole call. */
static bool fired(struct nd_wait *wait, nd_time now, nd_time *next) {
    const struct nd_silence *this = (const struct nd_silence *)wait;
    if (this->scope && now >= this->scope_end) {
        wait->expiry = nd_scope_expiry(this->scope, now);
        return true;
    }
    *next = this->scope_end;
    if (!this->limit)
        return false;
    const nd_time elapsed = now - this->since;
    const nd_time silent = elapsed < this->limit ? elapsed : nd_silence_of(wait->fd, wait->sock, elapsed);
    wait->expiry = (struct nd_expiry){
        .limit = nd_limit_name(wait->sock, ND_LIMIT_RECV), .timeout = this->limit, .elapsed = elapsed};
    *next = nd_time_sooner(*next, now + this->limit - silent);
    return silent >= this->limit;
}

static void renew(struct nd_wait *wait) {
    struct nd_silence *this = (struct nd_silence *)wait;
    if (!this->scope)
        this->limit = nd_sock_recv_limit(wait->sock);
}

struct nd_silence nd_silence_begin(enum nd_call operation, int fd, struct nd_sock *sock, nd_time limit, nd_time since,
                                   nd_time own) {
    return (struct nd_silence){.wait = {.operation = operation,
                                        .fd = fd,
                                        .sock = sock,
                                        .events = POLLIN,
                                        .shows_interruptions = sock->own_rcvtimeo != 0,
                                        .own = own,
                                        .fired = fired,
                                        .renew = renew},
                               .limit = limit,
                               .since = since,
                               .scope_end = ND_NEVER,
                               .generation = sock->generation};
}

void nd_silence_carry_over(const struct nd_silence *this, nd_time began) {
    const struct nd_wait *wait = &this->wait;
    if (this->limit && (wait->how == ND_INTERRUPTED || wait->how == ND_OWN_TIMEOUT))
        nd_carry_over_receive(wait->fd, wait->sock, began, nd_now());
}

bool nd_silence_is_cut(const struct nd_silence *this, long result) {
    return (nd_would_block(result) || (result < 0 && errno == EINTR)) &&
           this->wait.sock->generation == this->generation && !nd_nonblocking(this->wait.fd);
}

bool nd_silence_wait(struct nd_silence *this, nd_time began) {
    nd_wait_begin(&this->wait);
    const enum nd_waited how = nd_wait_for(&this->wait);
    nd_silence_carry_over(this, began);
    return how == ND_READY || how == ND_ENDED_STREAM || how == ND_UNPOLLABLE;
}

bool nd_silence_continue(struct nd_silence *this, nd_time began) {
    const bool interrupted = errno == EINTR, woken = interrupted && nd_slots_woken();
    if (woken) { /* the kernel's timer was the old limit's, or the program's own */
        nd_kernel_timers_refresh(this->wait.fd, this->wait.sock);
        renew(&this->wait);
        this->wait.own = nd_kernel_timers_own_deadline(this->wait.fd, this->wait.sock, ND_IN, began);
    }
    if (woken || nd_silence_is_over(this) || (interrupted && !this->wait.shows_interruptions && nd_signals_restart()))
        return nd_silence_wait(this, began);
    this->wait.how = interrupted ? ND_INTERRUPTED : ND_OWN_TIMEOUT;
    nd_silence_carry_over(this, began);
    return false;
}
