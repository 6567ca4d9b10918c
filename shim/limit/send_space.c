#include "shim/limit/send_space.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "shim/real.h"
#include "shim/socket/limits.h"
#include "shim/socket/retransmit.h"

/* Checks are at most this far apart, so that the time of progress and acknowledgements between two of them is known
 * well enough. */
#define CHECKS_PER_LIMIT 8
#define SHORTEST_INTERVAL (20 * ND_MSEC)
#define LONGEST_INTERVAL ND_SEC

static uint32_t queued_bytes(int fd) {
    int queued = 0;
    return nd_real.ioctl(fd, SIOCOUTQ, &queued) == 0 && queued > 0 ? (uint32_t)queued : 0;
}

void nd_send_space_answers(struct nd_send_space *space, const struct nd_tcp_info *info, nd_time now) {
    if (!nd_tcp_unanswered(info))
        space->unacked_since = -1;
    else if (space->unacked_since < 0 || info->last_ack_recv < now - space->unacked_since)
        space->unacked_since =
            now; /* acknowledged since; what is outstanding now was sent at an unknown time after that */
}

struct nd_send_space nd_send_space_begin(int fd, nd_time now) {
    int saved = errno;
    struct nd_tcp_info info;
    struct nd_send_space space = {now, -1, queued_bytes(fd)};
    nd_tcp_info_read(fd, &info);
    nd_send_space_answers(&space, &info, now);
    errno = saved;
    return space;
}

static nd_time check_interval(nd_time limit) {
    nd_time interval = limit / CHECKS_PER_LIMIT;
    if (interval < SHORTEST_INTERVAL)
        interval = SHORTEST_INTERVAL;
    return interval > LONGEST_INTERVAL ? LONGEST_INTERVAL : interval;
}

static nd_time next_check(nd_time limit, nd_time since, nd_time now) {
    return limit ? nd_time_sooner(nd_time_after(since, limit), now + check_interval(limit)) : ND_NEVER;
}

static nd_time unacked_limit(const struct nd_sock *sock) {
    return nd_sock_flags(sock) & ND_SOCK_INET ? nd_sock_limits(sock)->unacked : 0;
}

nd_time nd_send_space_fires(const struct nd_sock *sock, const struct nd_send_space *space, enum nd_limit *limit) {
    const nd_time send = nd_sock_send_limit(sock), unacked = unacked_limit(sock);
    const nd_time silent = send ? nd_time_after(space->progress, send) : ND_NEVER;
    const nd_time gone = unacked && space->unacked_since >= 0 ? nd_time_after(space->unacked_since, unacked) : ND_NEVER;
    const nd_time first = nd_time_sooner(silent, gone);
    *limit = first == ND_NEVER ? ND_LIMIT_NONE : first == silent ? ND_LIMIT_SEND : ND_LIMIT_UNACKED;
    return first;
}

void nd_send_space_show(const struct nd_sock *sock, const struct nd_send_space *space, const struct nd_slot_use *use) {
    enum nd_limit limit;
    const nd_time fires = nd_send_space_fires(sock, space, &limit);
    nd_slot_bound(use, fires, limit ? nd_limit_of(sock, limit) : ND_LIMIT_NONE);
}

bool nd_send_space_check(int fd, struct nd_sock *sock, struct nd_send_space *space, nd_time now,
                         struct nd_expiry *expiry, nd_time *next) {
    int saved = errno;
    nd_time send = nd_sock_send_limit(sock), unacked = unacked_limit(sock);
    if (send) {
        uint32_t queued = queued_bytes(fd);
        if (queued != space->queued)
            space->progress = now;
        space->queued = queued;
    }
    struct nd_tcp_info info = {0};
    if (unacked) {
        nd_tcp_info_read(fd, &info);
        nd_send_space_answers(space, &info, now);
        nd_retransmit_follow(fd, sock, &info, space->unacked_since < 0 ? 0 : now - space->unacked_since, unacked);
    }
    errno = saved;
    enum nd_limit limit;
    const bool fired = now >= nd_send_space_fires(sock, space, &limit);
    const bool silent = limit == ND_LIMIT_SEND;
    const nd_time awaited = fired && !silent ? nd_tcp_answer_awaited(&info, now - space->unacked_since, unacked) : 0;
    if (awaited) {
        *next = now + (awaited > SHORTEST_INTERVAL ? awaited : SHORTEST_INTERVAL);
        if (send)
            *next = nd_time_sooner(*next, next_check(send, space->progress, now));
        return false;
    }
    if (fired)
        *expiry = (struct nd_expiry){.limit = nd_limit_name(sock, limit),
                                     .timeout = silent ? send : unacked,
                                     .elapsed = now - (silent ? space->progress : space->unacked_since)};
    *next = nd_time_sooner(next_check(send, space->progress, now),
                           next_check(unacked, space->unacked_since < 0 ? now : space->unacked_since, now));
    return fired;
}
