#include "shim/limit/observe.h"

#include <errno.h>

#include "base/clock.h"
#include "shim/limit/connection_limits.h"
#include "shim/limit/gone.h"
#include "shim/report/slots.h"
#include "shim/socket/limits.h"

void nd_observe_begin_in(const uintptr_t *frame, struct nd_observe *observe, enum nd_call operation, int fd,
                         struct nd_sock *sock, enum nd_limit limit) {
    observe->fd = fd;
    observe->sock = sock;
    observe->operation = operation;
    observe->limit = limit;
    observe->began = nd_now();
    if (limit == ND_LIMIT_RECV)
        nd_gone_due(sock, observe->began); /* notes when it is to be checked */
    nd_slot_begin_in(frame, &observe->use, operation, fd, observe->began, ND_NEVER, nd_limit_of(sock, limit), NULL);
}

/* errno of the real call says whether a timer of the kernel's or the program's own timeout ended it. */
static enum nd_slot_end outcome(long result) {
    if (result >= 0)
        return ND_SLOT_DONE;
    return errno == ETIMEDOUT ? ND_SLOT_EXPIRED : errno == EAGAIN ? ND_SLOT_QUIET : ND_SLOT_DONE;
}

void nd_observe_end(struct nd_observe *observe, long result, struct nd_expiry would) {
    const int saved = errno;
    const nd_time ended = nd_now();
    if (result < 0 && saved == EINTR && nd_slots_woken()) {
        nd_slot_end(&observe->use, ND_SLOT_UNCOUNTED, ended);
        errno = ERESTART;
        return;
    }
    nd_slot_end(&observe->use, outcome(result), ended);
    would.operation = nd_operation_names[observe->operation];
    would.limit = nd_limit_name(observe->sock, observe->limit);
    if (observe->limit == ND_LIMIT_RECV || observe->limit == ND_LIMIT_SEND)
        would.timeout =
            observe->limit == ND_LIMIT_RECV ? nd_sock_recv_limit(observe->sock) : nd_sock_send_limit(observe->sock);
    if (!would.elapsed)
        would.elapsed = ended - observe->began;
    if (would.timeout && would.elapsed >= would.timeout)
        nd_expiry_report(observe->fd, &would);
    if (observe->limit == ND_LIMIT_RECV && result < 0 && nd_gone_check(observe->fd, observe->sock, ended, &would)) {
        would.operation = nd_operation_names[observe->operation];
        nd_expiry_report(observe->fd, &would);
    }
    nd_connection_limits_observed(observe->fd, observe->sock, would.operation, observe->began);
    errno = saved;
}
