#include "cli/process/call_limit.h"

#include "cli/process/process_connections.h"
#include "shim/socket/limits.h"

static const struct bound none = {.at = ND_NEVER};

/* A call that is looked at. */
struct look {
    const struct block *block;
    const struct nd_slot *slot; /* NULL: it has none */
    nd_time began;              /* the wait; `now` where that is not known */
    nd_time now;
    struct nd_connections connections;
    int set; /* the epoll set whose record was read last, or -1 */
    int home;
    struct nd_sock set_record;
    struct connection connection; /* of the socket that is looked at */
};

static void take(struct call_limit *limit, struct bound bound, int fd, const struct nd_sock *sock) {
    const bool is_known = limit->bound.limit || limit->bound.is_operation;
    if (bound.at >= limit->bound.at && (is_known || !bound.limit))
        return;
    limit->bound = bound;
    limit->fd = fd;
    limit->is_inbound = nd_sock_flags(sock) & ND_SOCK_INBOUND;
}

/* Reads the record of an epoll set, which is that of its home, with its clock run until now. */
static bool read_set(struct look *look, int set) {
    struct nd_sock *record = &look->set_record;
    if (look->set == set)
        return true;
    look->set = -1;
    look->home = set;
    if (!record_read(look->block, set, record))
        return false;
    if (record->epoll.copy_of) {
        look->home = record->epoll.copy_of - 1;
        if (!record_read(look->block, look->home, record))
            return false;
    }
    nd_stopwatch_add(&record->epoll.time, look->began, look->now);
    look->set = set;
    return true;
}

static const struct nd_membership *member_of(const struct nd_sock *sock, int home, const struct nd_sock *set) {
    for (int i = 0; i < ND_MEMBERSHIPS; i++)
        if (sock->in[i].set == home + 1 && sock->in[i].generation == set->generation)
            return &sock->in[i];
    return NULL;
}

/* Runs the clocks of a socket until now. */
static void run_clocks(struct look *look, const struct waited *waited, struct nd_sock *sock) {
    if (waited->set >= 0) {
        const struct nd_membership *member = NULL;
        if (read_set(look, waited->set))
            member = member_of(sock, look->home, &look->set_record);
        const nd_time ran = member ? look->set_record.epoll.time.waited - member->seen : 0;
        if (ran > 0)
            nd_clocks_run(sock, ran);
        return;
    }
    if (waited->wants & ND_WANTS_IN)
        nd_stopwatch_add(&sock->clock[ND_IN].time, look->began, look->now);
    if (waited->wants & ND_WANTS_OUT)
        nd_stopwatch_add(&sock->clock[ND_OUT].time, look->began, look->now);
    nd_stopwatch_add(&sock->connection_clock.time, look->began, look->now);
}

/* Reads what is known of a socket that is waited for; false where nothing is, or its connection has ended. */
static bool read_socket(struct look *look, const struct waited *waited, struct nd_sock *sock) {
    return record_read(look->block, waited->fd, sock) && !(nd_sock_flags(sock) & (ND_SOCK_EXPIRED | ND_SOCK_EPOLL));
}

/* The wait for a socket whose record was read. */
static struct bound_wait wait_for(struct look *look, const struct waited *waited, struct nd_sock *sock) {
    run_clocks(look, waited, sock);
    const uint32_t tcp = ND_SOCK_STREAM | ND_SOCK_INET;
    const bool is_known =
        (nd_sock_flags(sock) & tcp) == tcp && process_connection(look->block->pid, waited->fd, &look->connection);
    return (struct bound_wait){.sock = sock,
                               .connection = is_known ? &look->connection : NULL,
                               .wants = waited->wants,
                               .alone = nd_connections_is_only(&look->connections, sock),
                               .has_streams = look->connections.streams > 0,
                               .now = look->now};
}

static void find_in_set(struct look *look, const struct wait_list *waits, struct call_limit *limit) {
    struct nd_sock sock;
    for (size_t i = 0; i < waits->count; i++)
        if (record_read(look->block, waits->entries[i].fd, &sock))
            nd_connections_add(&look->connections, &sock);
    for (size_t i = 0; i < waits->count; i++) {
        const struct waited *waited = &waits->entries[i];
        if (!read_socket(look, waited, &sock))
            continue;
        const struct bound_wait wait = wait_for(look, waited, &sock);
        take(limit, look->slot ? bound_polled(&wait) : bound_unwatched(&wait), waited->fd, &sock);
        if (limit->bound.is_operation && limit->fd == waited->fd)
            record_operation_limit(look->block, &sock, limit->name);
    }
    if (!limit->bound.is_operation)
        limit->name[0] = '\0';
}

/* A limit as it is set for a socket. */
static nd_time setting_of(const struct nd_sock *sock, unsigned limit) {
    const struct nd_limits *limits = nd_sock_limits(sock);
    switch (limit & ~(unsigned)ND_LIMIT_INBOUND) {
    case ND_LIMIT_CONNECT:
        return nd_sock_connect_limit(sock);
    case ND_LIMIT_RECV:
        return limits->recv;
    case ND_LIMIT_SEND:
        return limits->send;
    case ND_LIMIT_UNACKED:
        return limits->unacked;
    case ND_LIMIT_TLS_HANDSHAKE:
        return limits->tls_handshake;
    case ND_LIMIT_TLS_SHUTDOWN:
        return limits->tls_shutdown;
    default:
        return 0;
    }
}

/* The limit that the slot tells of. */
static struct bound slot_bound(const struct nd_slot *slot, const struct nd_sock *sock) {
    const nd_time timeout = setting_of(sock, slot->limit);
    const nd_time at = slot->observed ? nd_time_after(slot->began, timeout) : slot->deadline;
    return timeout > 0 && at > 0
               ? (struct bound){.limit = slot->limit & ~(unsigned)ND_LIMIT_INBOUND, .timeout = timeout, .at = at}
               : none;
}

/* The TLS operation of several calls has its time in the record, since it may stand meanwhile. */
static struct bound tls_bound(const struct nd_slot *slot, const struct nd_sock *sock) {
    const bool is_read = (slot->limit & ~(unsigned)ND_LIMIT_INBOUND) == ND_LIMIT_RECV;
    return is_read || !sock->operation.timeout ? slot_bound(slot, sock) : bound_operation(sock);
}

static short wants_of(const struct nd_slot *slot, const struct wait_list *waits) {
    const uint8_t moves = nd_operation_table[slot->operation].moves;
    for (size_t i = 0; i < waits->count; i++)
        if (waits->entries[i].fd == slot->fd && waits->entries[i].wants)
            return waits->entries[i].wants;
    return (short)((moves & ND_MOVES_IN ? POLLIN : 0) | (moves == ND_MOVES_OUT ? POLLOUT : 0));
}

static struct bound bound_of_family(const struct nd_slot *slot, const struct bound_wait *wait) {
    const struct nd_sock *sock = wait->sock;
    switch (nd_operation_table[slot->operation].family) {
    case ND_FAMILY_CONNECT:
        return nd_sock_flags(sock) & ND_SOCK_CONNECTING ? bound_connected(wait) : slot_bound(slot, sock);
    case ND_FAMILY_ACCEPT:
        return bound_accepted(wait);
    case ND_FAMILY_TLS_HANDSHAKE:
    case ND_FAMILY_TLS_READ:
    case ND_FAMILY_TLS_WRITE:
    case ND_FAMILY_TLS_SHUTDOWN:
        return bound_sooner(tls_bound(slot, sock), bound_besides(wait));
    default:
        return wait->wants & ND_WANTS_IN ? bound_received(wait, slot->began)
                                         : bound_sooner(slot_bound(slot, sock), bound_besides(wait));
    }
}

static bool find_of_one(struct look *look, const struct wait_list *waits, struct call_limit *limit) {
    struct nd_sock sock;
    const struct waited waited = {look->slot->fd, wants_of(look->slot, waits), -1};
    if (!read_socket(look, &waited, &sock))
        return false;
    const struct bound_wait wait = wait_for(look, &waited, &sock);
    take(limit, bound_of_family(look->slot, &wait), waited.fd, &sock);
    if (limit->bound.is_operation)
        record_operation_limit(look->block, &sock, limit->name);
    return true;
}

/* The descriptor is none any more, and its record is gone. The kernel waits in whole seconds. False where a section of
 * the config file has set another limit. */
static bool find_of_close(const struct nd_slot *slot, struct call_limit *limit) {
    const struct nd_sock sock = {.flags = slot->limit & ND_LIMIT_INBOUND ? ND_SOCK_INBOUND : 0};
    const nd_time timeout = setting_of(&sock, slot->limit);
    if (nd_time_after(slot->began, (timeout + ND_SEC - 1) / ND_SEC * ND_SEC) != slot->deadline)
        return false;
    take(limit, slot_bound(slot, &sock), -1, &sock);
    return true;
}

bool call_limit_of_slot(const struct block *block, const struct nd_slot *slot, const struct wait_list *waits,
                        nd_time now, struct call_limit *limit) {
    struct nd_slot call = *slot;
    if (call.began <= 0 || call.began > now)
        call.began = now;
    struct look look = {.block = block, .slot = &call, .began = call.began, .now = now, .set = -1};
    *limit = (struct call_limit){.bound = none, .fd = -1};
    switch (slot->operation < ND_OPERATIONS ? nd_operation_table[slot->operation].family : ND_FAMILY_NONE) {
    case ND_FAMILY_NONE:
    case ND_FAMILY_LOOKUP:
        return false;
    case ND_FAMILY_CLOSE:
        return find_of_close(&call, limit);
    case ND_FAMILY_POLL:
    case ND_FAMILY_SELECT:
    case ND_FAMILY_EPOLL:
        find_in_set(&look, waits, limit);
        return true;
    default:
        return find_of_one(&look, waits, limit);
    }
}

void call_limit_of_call(const struct block *block, bool is_set, const struct wait_list *waits, nd_time now,
                        struct call_limit *limit) {
    struct look look = {.block = block, .began = now, .now = now, .set = -1};
    struct nd_sock sock;
    *limit = (struct call_limit){.bound = none, .fd = -1};
    if (is_set) {
        find_in_set(&look, waits, limit);
    } else if (waits->count == 1 && read_socket(&look, &waits->entries[0], &sock)) {
        const struct bound_wait wait = wait_for(&look, &waits->entries[0], &sock);
        take(limit, bound_unseen(&wait), waits->entries[0].fd, &sock);
    }
}
