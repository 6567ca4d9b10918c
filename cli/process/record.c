#include "cli/process/record.h"

#include <stdlib.h>
#include <string.h>

#include "cli/process/memory.h"
#include "shim/settings/setting_value.h"
#include "shim/socket/profile.h"

/* Times beyond this are nonsense, and several of them can be added. None is negative. */
#define MOST ((nd_time)1 << 58)

static void bound_time(nd_live_time *limit) {
    const nd_time time = *limit;
    *limit = time > MOST ? MOST : time < 0 ? 0 : time;
}

static void bound_limits(struct nd_limits *limits) {
    nd_live_time *const times[] = {&limits->tls_handshake, &limits->tls_shutdown, &limits->unacked,
                                   &limits->recv,          &limits->send,         &limits->keepalive,
                                   &limits->idle,          &limits->lifetime,     &limits->min_rate_window};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        bound_time(times[i]);
}

static void bound_settings(struct nd_settings *settings) {
    bound_time(&settings->resolve);
    bound_time(&settings->connect);
    bound_time(&settings->accept);
    bound_limits(&settings->outbound);
    bound_limits(&settings->inbound);
}

bool record_start(const struct block *block) {
    const struct nd_state *state = &block->state;
    unsigned count;
    if (strncmp(state->library, ND_VERSION, sizeof state->library) != 0 ||
        state->records.entry_size != sizeof(struct nd_sock) || state->records.count != ND_SOCK_CHUNK ||
        state->chunks.count != ND_SOCK_CHUNKS || (state->chunks.entry_size != 4 && state->chunks.entry_size != 8) ||
        state->profiles.entry_size != sizeof(struct nd_profile) || state->profiles.count != ND_PROFILES)
        return false;
    struct nd_live_row *rows = block_settings(block, &count);
    memset(&nd_settings, 0, sizeof nd_settings);
    for (unsigned i = 0; i < count; i++) {
        const struct nd_setting *setting = nd_setting_find(rows[i].name, strlen(rows[i].name));
        if (setting && nd_live_can_change(setting))
            nd_setting_value_set(setting, &nd_settings, rows[i].now);
    }
    free(rows);
    bound_settings(&nd_settings);
    return count > 0;
}

static void read_profile(const struct block *block, unsigned number) {
    struct nd_profile there, *profile = &nd_profiles[number];
    memset(&there, 0, sizeof there);
    memory_read(block->pid, block->state.profiles.address + (uint64_t)number * sizeof there, &there, sizeof there);
    nd_limits_copy(&profile->limits, &there.limits);
    profile->connect = there.connect;
    profile->accept = there.accept;
    bound_limits(&profile->limits);
    bound_time(&profile->connect);
    bound_time(&profile->accept);
}

static void bound_record(struct nd_sock *sock) {
#define TIMES_OF(watch) &(watch).waited, &(watch).accounted
#define TIMES_OF_CLOCK(clock) TIMES_OF((clock).time), &(clock).progress, &(clock).check_at
    nd_live_time *const times[] = {TIMES_OF_CLOCK(sock->clock[ND_IN]),
                                   TIMES_OF_CLOCK(sock->clock[ND_OUT]),
                                   TIMES_OF(sock->connection_clock.time),
                                   TIMES_OF(sock->carried_over.in),
                                   TIMES_OF(sock->epoll.time),
                                   &sock->operation.timeout,
                                   &sock->operation.began,
                                   &sock->operation.grace_began,
                                   &sock->connect_began,
                                   &sock->reply_pending_since,
                                   &sock->received_at,
                                   &sock->connection_clock.established,
                                   &sock->connection_clock.moved,
                                   &sock->connection_clock.window,
                                   &sock->connection_clock.check_at};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        bound_time(times[i]);
    if (sock->clock[ND_OUT].unacked != -1)
        bound_time(&sock->clock[ND_OUT].unacked);
    for (int i = 0; i < ND_MEMBERSHIPS; i++)
        bound_time(&sock->in[i].seen);
    for (size_t i = 0; i < sizeof sock->own_keepalive / sizeof sock->own_keepalive[0]; i++)
        if (sock->own_keepalive[i] < 0 || sock->own_keepalive[i] > INT16_MAX)
            sock->own_keepalive[i] = 0;
}

static uint64_t address_of(const struct block *block, unsigned fd) {
    const struct nd_state *state = &block->state;
    uint64_t chunk = state->records.address;
    if (fd >= ND_SOCK_CHUNK * ND_SOCK_CHUNKS)
        return 0;
    const size_t size = state->chunks.entry_size;
    if (fd >= ND_SOCK_CHUNK) {
        chunk = 0; /* the machine's byte order is the process's */
        memory_read(block->pid, state->chunks.address + fd / ND_SOCK_CHUNK * size, &chunk, size);
    }
    return chunk ? chunk + fd % ND_SOCK_CHUNK * sizeof(struct nd_sock) : 0;
}

bool record_read(const struct block *block, int fd, struct nd_sock *sock) {
    const uint64_t address = fd >= 0 ? address_of(block, (unsigned)fd) : 0;
    if (!address || memory_read(block->pid, address, sock, sizeof *sock) != 0 || !(sock->flags & ND_SOCK_KNOWN))
        return false;
    bound_record(sock);
    if (sock->profile)
        read_profile(block, sock->profile);
    return true;
}

void record_operation_limit(const struct block *block, const struct nd_sock *sock, char name[ND_OPERATION_NAME]) {
    if (memory_read_text(block->pid, sock->operation.wide_limit, name, ND_OPERATION_NAME) != 0)
        strcpy(name, "?");
}
