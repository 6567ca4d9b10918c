#include "cli/process/judge.h"

static uint64_t moved_bytes(const struct judge *judge) {
    return judge->bytes_acked + judge->bytes_received;
}

/* Bytes that were sent, each counted once. */
static uint64_t bytes_sent(const struct nd_tcp_info *info) {
    return info->bytes_sent - info->bytes_retransmitted;
}

/* A time of the kernel's; now where it tells none, so that what is not known is not taken for silence. */
static nd_time ago(const struct nd_tcp_info *info, nd_time time, nd_time now) {
    return info->known & ND_TCP_TIMES ? now - time : now;
}

/* Once established, the kernel counts silence from then on. */
static void begin_established(struct judge *judge, const struct connection *connection, nd_time now) {
    const struct nd_tcp_info *info = &connection->info;
    judge->connecting = false;
    judge->inbound = connection->is_inbound && !judge->connect_began;
    judge->established = now;
    judge->received = ago(info, info->last_data_recv, now);
    judge->requested = ago(info, info->last_data_sent, now);
    judge->moved = nd_time_later(judge->received, judge->requested);
    judge->acknowledged = 0;
    judge->space = (struct nd_send_space){now, -1, connection->send_queue};
    if (nd_tcp_unanswered(info))
        judge->space.unacked_since = now - connection_outstanding(connection);
    judge->bytes_sent = bytes_sent(info);
    judge->bytes_received = info->bytes_received;
    judge->bytes_acked = info->bytes_acked;
    judge->window.began = now;
    judge->window.bytes = moved_bytes(judge);
}

void judge_begin(struct judge *judge, const struct connection *connection, nd_time now) {
    *judge = (struct judge){.receiving = -1, .space.unacked_since = -1};
    if (connection->state == TCP_SYN_SENT) {
        judge->connecting = true;
        judge->connect_began = now - connection_outstanding(connection);
    } else {
        begin_established(judge, connection, now);
    }
}

/* The kernel tells how long ago bytes moved, and the clock is read some time later, each time another: of several looks at
 * the same bytes the one that gives the earliest time is right, and which were first is told by one look alone. What is
 * counted as sent last may have been a retransmission: the counts decide whether anything new was. */
static void look_at_times(struct judge *judge, const struct nd_tcp_info *info, nd_time now) {
    const nd_time sent = ago(info, info->last_data_sent, now), received = ago(info, info->last_data_recv, now);
    const bool has_sent = bytes_sent(info) != judge->bytes_sent || !(info->known & ND_TCP_SENT);
    const bool has_received = info->bytes_received != judge->bytes_received || !(info->known & ND_TCP_BYTES);
    judge->requested = has_sent ? nd_time_later(judge->requested, sent) : nd_time_sooner(judge->requested, sent);
    judge->received =
        has_received ? nd_time_later(judge->received, received) : nd_time_sooner(judge->received, received);
    if (has_received && received >= sent)
        judge->received = nd_time_later(judge->received, judge->requested);
}

void judge_look(struct judge *judge, const struct connection *connection, nd_time now) {
    const struct nd_tcp_info *info = &connection->info;
    if (connection->state == TCP_SYN_SENT)
        return;
    if (judge->connecting) {
        begin_established(judge, connection, now);
        return;
    }
    /* A list that was read while the listener came may have had the connection, but not the listener. */
    if (connection->state == TCP_ESTABLISHED && !judge->connect_began)
        judge->inbound = connection->is_inbound;
    look_at_times(judge, info, now);
    if (info->bytes_acked != judge->bytes_acked)
        judge->acknowledged = ago(info, info->last_ack_recv, now);
    if (info->bytes_acked + info->bytes_received != moved_bytes(judge) || !(info->known & ND_TCP_BYTES))
        judge->moved = nd_time_later(judge->moved, nd_time_later(judge->received, judge->requested));
    if (info->bytes_acked != judge->bytes_acked || connection->send_queue != judge->space.queued ||
        !connection->is_full)
        judge->space.progress = now;
    judge->space.queued = connection->send_queue;
    nd_send_space_answers(&judge->space, info, now);
    if (judge->space.unacked_since == now)
        judge->space.unacked_since = now - nd_time_sooner(connection_outstanding(connection), info->last_ack_recv);
    judge->bytes_sent = bytes_sent(info);
    judge->bytes_received = info->bytes_received;
    judge->bytes_acked = info->bytes_acked;
}

void judge_receiving(struct judge *judge, bool is_blocked, nd_time now) {
    if (!is_blocked)
        judge->receiving = -1;
    else if (judge->receiving < 0 || judge->received + ND_TCP_TICK >= judge->receiving_seen)
        judge->receiving = now; /* what was blocked before may have got what came since */
    judge->receiving_seen = now;
}

void judge_resume(struct judge *judge, nd_time now) {
    judge->receiving = -1;
    judge->window.began = now;
    judge->window.bytes = moved_bytes(judge);
}

/* Whether input can still come that the program would be woken for. Bytes that lie unread are no silence of the
 * peer's; while bytes have not been sent at all it is SEND and UNACKED that count. */
static bool can_receive(const struct connection *connection) {
    const bool is_open = connection->state == TCP_ESTABLISHED || connection->state == TCP_FIN_WAIT1 ||
                         connection->state == TCP_FIN_WAIT2;
    return is_open && connection->receive_queue == 0 && connection->info.notsent == 0 &&
           (connection->info.known & ND_TCP_TIMES);
}

/* A peer owes bytes when ours were the last, and when it has sent none at all: a server is to greet, a client to ask.
 * But a program with several connections may have made one in advance, on which nobody has anything to say yet. */
nd_time judge_reply_pending(const struct judge *judge, const struct connection *connection) {
    const bool is_new = judge->bytes_received == 0 && (connection->info.known & ND_TCP_BYTES) &&
                        (judge->bytes_sent > 0 || judge->inbound || judge->is_only);
    if (judge->connecting || judge->is_ignored || !can_receive(connection))
        return -1;
    if (!is_new && judge->requested <= judge->received + ND_TCP_TICK)
        return -1;
    return nd_time_later(nd_time_later(judge->requested, judge->received),
                         nd_time_later(judge->acknowledged, judge->awaited));
}

bool judge_is_untouched(const struct judge *judge) {
    return !judge->connecting && !judge->inbound && judge->bytes_sent == 0 && judge->bytes_received == 0;
}

nd_time judge_call_pending(const struct judge *judge, const struct connection *connection) {
    return judge->receiving >= 0 && can_receive(connection) ? nd_time_later(judge->received, judge->receiving) : -1;
}

/* Whether `limit`, which runs since `since` (-1: not at all), has expired; it is noted when it will. */
static bool expires(struct verdict *verdict, unsigned limit, nd_time timeout, nd_time since, nd_time now) {
    if (!timeout || since < 0)
        return false;
    if (now - since < timeout) {
        verdict->due = nd_time_sooner(verdict->due, nd_time_after(since, timeout));
        return false;
    }
    verdict->limit = limit;
    verdict->timeout = timeout;
    verdict->elapsed = now - since;
    return true;
}

/* Whether UNACKED has expired. */
static bool is_gone(const struct judge *judge, const struct connection *connection, unsigned limit, nd_time timeout,
                    nd_time now, struct verdict *verdict) {
    if (!expires(verdict, limit, timeout, judge->space.unacked_since, now))
        return false;
    const nd_time awaited = nd_tcp_answer_awaited(&connection->info, verdict->elapsed, timeout);
    if (!awaited)
        return true;
    *verdict = (struct verdict){.due = nd_time_sooner(verdict->due, now + awaited)};
    return false;
}

static bool is_established(const struct connection *connection) {
    return connection->state == TCP_ESTABLISHED || connection->state == TCP_CLOSE_WAIT ||
           connection->state == TCP_FIN_WAIT1 || connection->state == TCP_FIN_WAIT2;
}

/* How often MIN_RATE is checked in a window, and how long a connection may move nothing before it counts as idle: that
 * is for RECV, SEND and IDLE. */
enum { CHECKS_PER_WINDOW = 4, IDLE_SHARE = 2 };

static bool is_slow(struct judge *judge, const struct nd_limits *limits, unsigned inbound, nd_time now,
                    struct verdict *verdict) {
    const uint64_t least = limits->min_rate_bytes, moved = moved_bytes(judge) - judge->window.bytes;
    const nd_time window = limits->min_rate_window, elapsed = now - judge->window.began;
    if (!least)
        return false;
    const bool is_over = elapsed >= window, drips = moved > 0 && now - judge->moved < window / IDLE_SHARE;
    if (moved >= least || is_over || moved == 0) {
        judge->window.began = now;
        judge->window.bytes = moved_bytes(judge);
    }
    verdict->due =
        nd_time_sooner(verdict->due, nd_time_sooner(now + window / CHECKS_PER_WINDOW, judge->window.began + window));
    if (!is_over || moved >= least || !drips)
        return false;
    verdict->limit = ND_LIMIT_MIN_RATE | inbound;
    verdict->timeout = window;
    verdict->elapsed = elapsed;
    return true;
}

bool judge_decide(struct judge *judge, const struct connection *connection, const struct nd_settings *settings,
                  nd_time now, struct verdict *verdict) {
    const struct nd_limits *limits = judge->inbound ? &settings->inbound : &settings->outbound;
    const unsigned inbound = judge->inbound ? ND_LIMIT_INBOUND : 0;
    *verdict = (struct verdict){.due = ND_NEVER};
    if (judge->connecting) /* no lookup is seen: each connect is an establishment */
        return expires(verdict, ND_LIMIT_ESTABLISH, settings->establish, judge->connect_began, now) ||
               expires(verdict, ND_LIMIT_CONNECT, settings->connect, judge->connect_began, now);
    if (!is_established(connection))
        return false;
    const nd_time called = judge_call_pending(judge, connection);
    const nd_time full = connection->is_full && connection->send_queue > 0 ? judge->space.progress : -1;
    return expires(verdict, ND_LIMIT_LIFETIME | inbound, limits->lifetime, judge->established, now) ||
           expires(verdict, ND_LIMIT_IDLE | inbound, limits->idle, judge->moved, now) ||
           is_slow(judge, limits, inbound, now, verdict) ||
           expires(verdict, ND_LIMIT_RECV | inbound, limits->recv, judge_reply_pending(judge, connection), now) ||
           expires(verdict, ND_LIMIT_RECV | inbound, limits->recv, called, now) ||
           expires(verdict, ND_LIMIT_SEND | inbound, limits->send, full, now) ||
           is_gone(judge, connection, ND_LIMIT_UNACKED | inbound, limits->unacked, now, verdict);
}

/* An eighth of the limit in silence is enough to begin to look, or so long: that the call goes on is then seen in
 * time. */
#define SILENCE_TO_ASK (50 * ND_MSEC)

bool judge_asks_for_calls(const struct judge *judge, const struct connection *connection,
                          const struct nd_settings *settings, nd_time now) {
    const nd_time recv = judge->inbound ? settings->inbound.recv : settings->outbound.recv;
    return recv && !judge->connecting && can_receive(connection) &&
           (judge_reply_pending(judge, connection) < 0 || judge->receiving >= 0) &&
           now - judge->received >= nd_time_sooner(recv / 8, SILENCE_TO_ASK);
}

const char *judge_limit_name(unsigned limit) {
    return nd_limit_name_on((enum nd_limit)(limit & ~(unsigned)ND_LIMIT_INBOUND), limit & ND_LIMIT_INBOUND);
}

const char *judge_operation(unsigned limit) {
    switch (limit & ~(unsigned)ND_LIMIT_INBOUND) {
    case ND_LIMIT_CONNECT:
        return nd_operation_names[ND_OPERATION_connect];
    case ND_LIMIT_SEND:
    case ND_LIMIT_UNACKED:
        return nd_operation_names[ND_OPERATION_send];
    case ND_LIMIT_RECV:
        return nd_operation_names[ND_OPERATION_recv];
    default:
        return nd_operation_names[ND_OPERATION_poll];
    }
}
