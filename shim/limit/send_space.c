#include "shim/limit/send_space.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "shim/real.h"
#include "shim/socket/limits.h"

/* Looks are at most this far apart, so that progress and answers between two of them are dated well enough. */
#define LOOKS_PER_LIMIT 8
#define SHORTEST_LOOK (20 * ND_MSEC)
#define LONGEST_LOOK ND_SEC

static uint32_t queued_bytes(int fd) {
    int queued = 0;
    return nd_real.ioctl(fd, SIOCOUTQ, &queued) == 0 && queued > 0 ? (uint32_t)queued : 0;
}

void nd_send_space_answers(struct nd_send_space *room, const struct nd_tcp_info *info, nd_time now) {
    if (!nd_tcp_unanswered(info))
        room->unacked_since = -1;
    else if (room->unacked_since < 0 || info->last_ack_recv < now - room->unacked_since)
        room->unacked_since = now; /* answered since; what is outstanding now was sent at an unknown time after */
}

struct nd_send_space nd_send_space_begin(int fd, nd_time now) {
    int saved = errno;
    struct nd_tcp_info info;
    struct nd_send_space room = {now, -1, queued_bytes(fd)};
    nd_tcp_info_read(fd, &info);
    nd_send_space_answers(&room, &info, now);
    errno = saved;
    return room;
}

static nd_time look_interval(nd_time limit) {
    nd_time interval = limit / LOOKS_PER_LIMIT;
    if (interval < SHORTEST_LOOK)
        interval = SHORTEST_LOOK;
    return interval > LONGEST_LOOK ? LONGEST_LOOK : interval;
}

static nd_time next_look(nd_time limit, nd_time since, nd_time now) {
    return limit ? nd_time_sooner(nd_time_after(since, limit), now + look_interval(limit)) : ND_NEVER;
}

bool nd_send_space_check(int fd, const struct nd_sock *sock, struct nd_send_space *room, nd_time now,
                         struct nd_expiry *expiry, nd_time *next) {
    int saved = errno;
    nd_time send = nd_sock_send_limit(sock);
    nd_time unacked = nd_sock_flags(sock) & ND_SOCK_INET ? nd_sock_limits(sock)->unacked : 0;
    if (send) {
        uint32_t queued = queued_bytes(fd);
        if (queued != room->queued)
            room->progress = now;
        room->queued = queued;
    }
    if (unacked) {
        struct nd_tcp_info info;
        nd_tcp_info_read(fd, &info);
        nd_send_space_answers(room, &info, now);
    }
    errno = saved;
    bool silent = send && now - room->progress >= send;
    bool gone = unacked && room->unacked_since >= 0 && now - room->unacked_since >= unacked;
    if (silent)
        *expiry =
            (struct nd_expiry){.limit = ND_LIMIT_NAME(sock, "SEND"), .timeout = send, .elapsed = now - room->progress};
    else if (gone)
        *expiry = (struct nd_expiry){
            .limit = ND_LIMIT_NAME(sock, "UNACKED"), .timeout = unacked, .elapsed = now - room->unacked_since};
    *next = nd_time_sooner(next_look(send, room->progress, now),
                           next_look(unacked, room->unacked_since < 0 ? now : room->unacked_since, now));
    return silent || gone;
}
