/* What the kernel reports of a TCP connection: the one reader of TCP_INFO, and the conclusions that are drawn from it.
 * The conclusions take the answer, not a descriptor: whoever has read it from elsewhere (sock_diag) draws the same
 * ones. Everything here is async-signal-safe and keeps errno. */
#pragma once

#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

/* The kernel measures the times since bytes moved by its tick, so that one may be shorter than another that began with
 * it by as much as this: the tick of the slowest kernels (HZ=100). */
#define ND_TCP_TICK (10 * ND_MSEC)

/* What an answer holds beyond the state of the connection. */
enum nd_tcp_known {
    ND_TCP_TIMES = 1 << 0, /* `backoff` to `last_ack_recv` */
    ND_TCP_BYTES = 1 << 1, /* `bytes_acked`, `bytes_received` (Linux 4.2) */
    ND_TCP_SENT = 1 << 2   /* `notsent`, `bytes_sent`, `bytes_retransmitted` (Linux 4.19) */
};

/* The names are struct tcp_info's. Times are in nanoseconds, those of the last events as how long ago they were, in
 * whole milliseconds rounded down. Fields that are not known are 0, but for the times of the last events: those are
 * INT32_MAX milliseconds. */
struct nd_tcp_info {
    uint32_t known; /* enum nd_tcp_known */
    uint8_t state, retransmits,
        probes; /* TCP_ESTABLISHED ...; how often data, or a window or keepalive probe, was sent again */
    uint8_t backoff;
    uint32_t unacked;       /* segments */
    uint32_t retransmitted; /* segments: those that are under way again */
    nd_time
        longest; /* between two retransmissions or probes, where the library has set it (socket/retransmit.h); else 0 */
    nd_time rto, last_data_sent, last_data_recv, last_ack_recv;
    uint64_t bytes_acked, bytes_received, bytes_sent, bytes_retransmitted;
    uint32_t notsent;
};

/* Reads TCP_INFO of `fd`. Where a filter or another kernel has none (ENOPROTOOPT) the state is derived from other
 * calls; qemu's user-mode emulation passes on the first four bytes. Returns false, with *info all 0, if `fd` is no TCP
 * socket. */
bool nd_tcp_info_read(int fd, struct nd_tcp_info *info);

/* Takes an answer of `length` bytes, laid out as the kernel's struct tcp_info. Returns false, with *info all 0, if it
 * is too short to hold the state. */
bool nd_tcp_info_decode(struct nd_tcp_info *info, const void *answer, size_t length);

struct nd_mptcp_info;

/* Replaces in *info, which describes the first subflow of an MPTCP connection, what is known of the whole of it. Where
 * there are several subflows nothing counts as unanswered, and on a kernel that does not tell when bytes moved they
 * have just done so: no limit fires by what a single subflow does. `connected`: the socket has a peer. */
void nd_tcp_info_merge(struct nd_tcp_info *info, const struct nd_mptcp_info *whole, bool connected);

/* Whether the kernel knows a peer of the socket. Errno undefined. */
bool nd_has_peer(int fd);

/* Whether the handshake is over and the connection not closed from this side. */
static inline bool nd_tcp_established(const struct nd_tcp_info *info) {
    return info->state == TCP_ESTABLISHED || info->state == TCP_CLOSE_WAIT;
}

/* Whether something that was sent, data or a window probe, has not been acknowledged. False where that is not known. */
bool nd_tcp_unanswered(const struct nd_tcp_info *info);

/* How long something that was sent has surely been outstanding, with nothing acknowledged meanwhile; 0 where nothing
 * is, or where that is not known. Without any memory: by the kernel's retransmissions. Of a FIN or a window probe it is
 * too short by the last interval between two. */
nd_time nd_tcp_unacked_for(const struct nd_tcp_info *info);

/* Of what is unanswered: how long the kernel waited for an answer at first (the round trip, and 200 ms at least), how long
 * from the last sending to the next, and how long ago that time began; 0 where that is not known. */
nd_time nd_tcp_first_timeout(const struct nd_tcp_info *info);
nd_time nd_tcp_next_timeout(const struct nd_tcp_info *info);
nd_time nd_tcp_timer_runs_for(const struct nd_tcp_info *info);

/* How much longer a peer is waited for that has acknowledged nothing for `unacked`, which is `limit` or more. A peer that
 * was out of reach, and has come back within the limit, hears of it by a retransmission or a window probe. One that is
 * due at the limit, as after three seconds (0.2 + 0.4 + 0.8 + 1.6), or has just been sent, it has the time to answer.
 * 0 where none is, or that time is over. */
nd_time nd_tcp_answer_awaited(const struct nd_tcp_info *info, nd_time unacked, nd_time limit);

/* Whether the peer is to send next: the last bytes went out after the last ones came in. `sent_last`: the record of the
 * socket says so, which decides within a tick. `tls`: then it decides alone, since TLS receives records that are no
 * reply (session tickets). */
bool nd_tcp_reply_pending(const struct nd_tcp_info *info, bool sent_last, bool tls);

/* Whether keepalive ended the connection, rather than one of its sides: as many probes were not answered as are sent.
 * Two system calls where any was not. Keeps errno. */
bool nd_tcp_ended_by_keepalive(int fd, const struct nd_tcp_info *info);

/* Whether this end made the connection, of whose bytes `queued` are not acknowledged (SIOCOUTQ). False where that is
 * not known: before Linux 4.19, or once the connection is half closed. */
bool nd_tcp_made_here(const struct nd_tcp_info *info, uint64_t queued);
