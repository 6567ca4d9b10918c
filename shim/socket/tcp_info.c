#include "shim/socket/tcp_info.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "shim/poll.h"
#include "shim/real.h"
#include "shim/socket/mptcp.h"
#include "shim/socket/option.h"

#define LONG_AGO (INT32_MAX * ND_MSEC)

/* struct tcp_info as Linux 4.19 has it: older headers end earlier. Kernels append to it, and cut it to what the caller
 * takes. */
struct answer {
    uint8_t state, ca_state, retransmits, probes, backoff, options, window_scales, app_limited;
    uint32_t rto, ato, snd_mss, rcv_mss; /* the first two in microseconds */
    uint32_t unacked, sacked, lost, retrans, fackets;
    uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv; /* milliseconds */
    uint32_t path[11];                                                     /* from tcpi_pmtu to tcpi_total_retrans */
    uint64_t pacing[2], bytes_acked, bytes_received;
    uint32_t segments[2], notsent, min_rtt, data_segments[2];
    uint64_t rates[4];
    uint32_t delivered[2];
    uint64_t bytes_sent, bytes_retransmitted;
};

#define END_OF(field) (offsetof(struct answer, field) + sizeof(((struct answer *)0)->field))
#define SAME_AS_LIBC(ours, its)                                                                                        \
    _Static_assert(offsetof(struct answer, ours) == offsetof(struct tcp_info, its), "the layout is the kernel's")

SAME_AS_LIBC(state, tcpi_state);
SAME_AS_LIBC(retransmits, tcpi_retransmits);
SAME_AS_LIBC(probes, tcpi_probes);
SAME_AS_LIBC(backoff, tcpi_backoff);
SAME_AS_LIBC(rto, tcpi_rto);
SAME_AS_LIBC(unacked, tcpi_unacked);
SAME_AS_LIBC(last_data_sent, tcpi_last_data_sent);
SAME_AS_LIBC(last_data_recv, tcpi_last_data_recv);
SAME_AS_LIBC(last_ack_recv, tcpi_last_ack_recv);
SAME_AS_LIBC(path, tcpi_pmtu);
_Static_assert(END_OF(probes) == 4, "qemu passes on an int");
_Static_assert(offsetof(struct answer, bytes_acked) == 120 && offsetof(struct answer, bytes_received) == 128 &&
                   offsetof(struct answer, notsent) == 144 && offsetof(struct answer, bytes_sent) == 200 &&
                   END_OF(bytes_retransmitted) == 216,
               "the layout is the kernel's");

bool nd_tcp_info_decode(struct nd_tcp_info *info, const void *answer, size_t length) {
    struct answer from;
    memset(&from, 0, sizeof from);
    memset(info, 0, sizeof *info);
    if (length < END_OF(probes))
        return false;
    memcpy(&from, answer, length < sizeof from ? length : sizeof from);
    info->state = from.state;
    info->retransmits = from.retransmits;
    info->probes = from.probes;
    info->last_data_sent = info->last_data_recv = info->last_ack_recv = LONG_AGO;
    if (length >= END_OF(last_ack_recv)) {
        info->known |= ND_TCP_TIMES;
        info->backoff = from.backoff;
        info->unacked = from.unacked;
        info->retransmitted = from.retrans;
        info->rto = from.rto * ND_USEC;
        info->last_data_sent = from.last_data_sent * ND_MSEC;
        info->last_data_recv = from.last_data_recv * ND_MSEC;
        info->last_ack_recv = from.last_ack_recv * ND_MSEC;
    }
    if (length >= END_OF(bytes_received)) {
        info->known |= ND_TCP_BYTES;
        info->bytes_acked = from.bytes_acked;
        info->bytes_received = from.bytes_received;
    }
    if (length >= END_OF(bytes_retransmitted)) {
        info->known |= ND_TCP_SENT;
        info->notsent = from.notsent;
        info->bytes_sent = from.bytes_sent;
        info->bytes_retransmitted = from.bytes_retransmitted;
    }
    return true;
}

static bool is_stream(int fd) {
    return nd_option_of_kernel(fd, SOL_SOCKET, SO_TYPE, 0) == SOCK_STREAM;
}

bool nd_has_peer(int fd) {
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    return getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
}

static uint8_t state_without_info(int fd) {
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
    if (nd_has_peer(fd))
        return TCP_ESTABLISHED;
    return nd_poll_now(&pollfd) == 0 ? TCP_SYN_SENT : TCP_CLOSE;
}

void nd_tcp_info_merge(struct nd_tcp_info *info, const struct nd_mptcp_info *whole, bool connected) {
    info->known &= ~(uint32_t)ND_TCP_SENT;
    if (whole->has_bytes) {
        info->known |= ND_TCP_BYTES;
        info->bytes_acked = whole->bytes_acked;
        info->bytes_received = whole->bytes_received;
    }
    if (whole->has_times) {
        info->known |= ND_TCP_TIMES;
        info->last_data_sent = whole->last_data_sent;
        info->last_data_recv = whole->last_data_recv;
        info->last_ack_recv = whole->last_ack_recv;
    }
    if (!whole->has_several && info->state != TCP_CLOSE)
        return;
    if (info->state != TCP_SYN_SENT)
        info->state = connected ? TCP_ESTABLISHED : TCP_CLOSE;
    info->unacked = info->retransmits = info->probes = 0;
    if (!whole->has_times)
        info->last_data_sent = info->last_data_recv = info->last_ack_recv = 0;
}

bool nd_tcp_info_read(int fd, struct nd_tcp_info *info) {
    int saved = errno;
    struct answer answer;
    socklen_t len = sizeof answer;
    bool known;
    if (nd_real_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &answer, &len) == 0) {
        known = nd_tcp_info_decode(info, &answer, len);
    } else {
        const uint8_t only_state[END_OF(probes)] = {0};
        known = errno == ENOPROTOOPT && is_stream(fd); /* UDP has the same answer */
        nd_tcp_info_decode(info, only_state, known ? sizeof only_state : 0);
        if (known)
            info->state = state_without_info(fd);
    }
    struct nd_sock *sock = known ? nd_sock_lookup(fd) : NULL;
    struct nd_mptcp_info whole;
    if (sock && sock->own_rto_max)
        info->longest = sock->rto_max * ND_MSEC;
    if (sock && nd_is_mptcp(fd, sock) && nd_mptcp_info_read(fd, &whole))
        nd_tcp_info_merge(info, &whole, nd_has_peer(fd));
    errno = saved;
    return known;
}

/* What could not be sent at first (dropped on this host) is sent by probes, each of which is a sending. A probe of a closed
 * window has no data. */
static bool probes_have_data(const struct nd_tcp_info *info) {
    return info->last_data_sent < info->last_ack_recv;
}

/* A receiver answers segments outside its window, as probes of a closed one are, at most every 500 ms
 * (net.ipv4.tcp_invalid_ratelimit): the silence after a single probe that came sooner after the one before has no
 * meaning. */
#define PROBES_APART (500 * ND_MSEC)

/* Keepalive's probes are counted, too, while there is nothing to send: more of them than one may be under way where the
 * round trip is longer than the time between two, and the kernel itself judges them. */
static bool probe_unanswered(const struct nd_tcp_info *info) {
    if ((info->known & ND_TCP_SENT) && info->notsent == 0)
        return false;
    if (info->probes != 1 || probes_have_data(info))
        return info->probes > 0;
    return info->backoff > 0 && info->backoff < 32 && info->rto > PROBES_APART >> (info->backoff - 1);
}

bool nd_tcp_unanswered(const struct nd_tcp_info *info) {
    return (info->known & ND_TCP_TIMES) && (info->unacked > 0 || probe_unanswered(info));
}

/* The longest time between two retransmissions or probes: TCP_RTO_MAX. */
#define RTO_MAX (120 * ND_SEC)

static nd_time no_longer(const struct nd_tcp_info *info, nd_time interval) {
    return nd_time_sooner(interval, info->longest ? info->longest : RTO_MAX);
}

/* The sum of `count` intervals, each of which is twice the one before; the last one is `last`. */
static nd_time intervals(const struct nd_tcp_info *info, nd_time last, unsigned count) {
    nd_time sum = 0;
    for (; count > 0 && last > 0; count--, last /= 2)
        sum += no_longer(info, last);
    return sum;
}

/* Rto, doubled so often: what the kernel allows for, and no overflow. */
static nd_time doubled(nd_time rto, unsigned times) {
    return rto << (times < 16 ? times : 16);
}

/* The kernel's first timeout is the round trip and 200 ms at least (TCP_RTO_MIN): half of these are enough for an answer. */
#define RTO_MIN (200 * ND_MSEC)
#define SPARE (RTO_MIN / 2)

/* When what is unanswered was sent last, after it was sent first: rto is doubled each time. */
static nd_time last_sent(const struct nd_tcp_info *info) {
    return intervals(info, info->rto / 2, info->backoff < 32 ? info->backoff : 31);
}

/* Whether the last retransmission failed on this host, as without a route: the kernel counts it, but it is no sending. */
static bool sends_in_vain(const struct nd_tcp_info *info) {
    return info->unacked > 0 && info->retransmits > 0 && info->retransmitted == 0;
}

/* How long what is unanswered has been outstanding, by how often it was sent again. */
static nd_time outstanding_for(const struct nd_tcp_info *info) {
    if (info->unacked == 0) { /* probes: the interval is rto << backoff, and rto stays (tcp_probe0_when) */
        const bool has_data = probes_have_data(info);
        return intervals(info, doubled(info->rto, info->backoff ? info->backoff - 1U : 0), info->probes - !has_data) +
               (has_data ? info->last_data_sent : 0);
    }
    if (sends_in_vain(info))
        return nd_time_later(last_sent(info), nd_tcp_established(info) ? info->last_data_sent : 0);
    /* Data: each retransmission is a sending (tcp_event_data_sent); that of a FIN is none. */
    return last_sent(info) + (nd_tcp_established(info) ? info->last_data_sent : 0);
}

nd_time nd_tcp_first_timeout(const struct nd_tcp_info *info) {
    const nd_time first = info->unacked == 0 ? info->rto : info->backoff < 32 ? info->rto >> info->backoff : 0;
    return nd_time_later(first, nd_time_sooner(info->rto, RTO_MIN));
}

nd_time nd_tcp_next_timeout(const struct nd_tcp_info *info) {
    return info->unacked > 0 ? info->rto : no_longer(info, doubled(info->rto, info->backoff));
}

nd_time nd_tcp_timer_runs_for(const struct nd_tcp_info *info) {
    if (info->unacked == 0 && !probes_have_data(info))
        return 0;
    return sends_in_vain(info) ? nd_time_later(info->last_data_sent - last_sent(info), 0) : info->last_data_sent;
}

nd_time nd_tcp_unacked_for(const struct nd_tcp_info *info) {
    if (!nd_tcp_unanswered(info) || info->state == TCP_CLOSE)
        return 0;
    return nd_time_sooner(outstanding_for(info), info->last_ack_recv);
}

/* So much later than a limit an answer is still awaited, and a quarter of the limit: what comes later is told to the
 * operator as the limit's own time. */
#define PATIENCE (650 * ND_MSEC)
#define LIMITS_PART 4

/* How long ago the last probe of a closed window was sent, whose time the kernel does not tell: no longer than this. The
 * answer to the one before the first unanswered one set the timer. */
static nd_time probe_sent_ago(const struct nd_tcp_info *info) {
    const unsigned first = info->backoff > info->probes ? (unsigned)(info->backoff - info->probes) : 0;
    return nd_time_later(info->last_ack_recv - no_longer(info, doubled(info->rto, first)) - outstanding_for(info), 0);
}

nd_time nd_tcp_answer_awaited(const struct nd_tcp_info *info, nd_time unacked, nd_time limit) {
    if (!nd_tcp_established(info) || unacked < limit ||
        info->last_ack_recv + ND_TCP_TICK < outstanding_for(info)) /* it is heard, but does not hear */
        return 0;
    const bool is_window_probe = info->unacked == 0 && !probes_have_data(info);
    const nd_time first = nd_tcp_first_timeout(info), timeout = nd_tcp_next_timeout(info);
    const nd_time over = is_window_probe ? 0 : unacked - limit,
                  ago = is_window_probe ? probe_sent_ago(info) : nd_tcp_timer_runs_for(info);
    const nd_time answer = first - nd_time_sooner(first / 2, SPARE);
    const bool is_sent = is_window_probe || ago <= over || ago < answer;
    /* The kernel's timers are late by up to an eighth of their time. */
    const nd_time soonest = (is_sent ? 0 : timeout) + answer - ago, latest = soonest + (is_sent ? 0 : timeout / 8);
    if (latest <= 0 || over + latest > nd_time_sooner(PATIENCE, limit / LIMITS_PART))
        return 0;
    return soonest > 0 ? soonest : latest;
}

bool nd_tcp_reply_pending(const struct nd_tcp_info *info, bool sent_last, bool tls) {
    if (info->last_data_sent + ND_TCP_TICK < info->last_data_recv)
        return true;
    return sent_last && (tls || info->last_data_sent <= info->last_data_recv);
}

/* A reset leaves unanswered probes, too: the answer to one of them, or the peer's end while the window is closed, when
 * it does not answer each probe. With TCP_USER_TIMEOUT it is not the number of probes that counts, but their time. */
bool nd_tcp_ended_by_keepalive(int fd, const struct nd_tcp_info *info) {
    if (info->state != TCP_CLOSE || info->probes == 0)
        return false;
    const int saved = errno, count = nd_option_of_kernel(fd, IPPROTO_TCP, TCP_KEEPCNT, 0),
              longest = nd_option_of_kernel(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 0);
    errno = saved;
    return info->probes >= count ||
           (longest > 0 && nd_time_sooner(info->last_data_recv, info->last_ack_recv) >= longest * ND_MSEC);
}

/* The kernel counts the acknowledged SYN among a client's bytes, and none among a server's: bytes acknowledged and in
 * flight are one more than bytes sent. */
bool nd_tcp_made_here(const struct nd_tcp_info *info, uint64_t queued) {
    if (!(info->known & ND_TCP_SENT) || info->state != TCP_ESTABLISHED)
        return false;
    return info->bytes_acked + queued - info->notsent == info->bytes_sent - info->bytes_retransmitted + 1;
}
