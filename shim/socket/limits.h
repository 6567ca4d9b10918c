/* Which limits hold for a socket. Everything here is async-signal-safe and keeps errno. */
#pragma once

#include "shim/report/slots.h"
#include "shim/socket/budget.h"
#include "shim/socket/profile.h"
#include "shim/socket/record.h"

/* The limits that hold for this socket, which has these `flags`: those of the config file's sections for its peer, or
 * else the outbound or inbound ones. */
static inline const struct nd_limits *nd_sock_limits_by(const struct nd_sock *sock, uint32_t flags) {
    uint8_t profile = atomic_load_explicit(&sock->profile, memory_order_relaxed);
    if (__builtin_expect(profile != 0, 0))
        return &nd_profiles[profile].limits;
    return flags & ND_SOCK_INBOUND ? &nd_settings.inbound : &nd_settings.outbound;
}

static inline const struct nd_limits *nd_sock_limits(const struct nd_sock *sock) {
    return nd_sock_limits_by(sock, nd_sock_flags(sock));
}

/* The limits by which keepalive is set: a listener hands it on to the connections that it accepts. */
static inline const struct nd_limits *nd_sock_keepalive_limits(const struct nd_sock *sock) {
    const uint32_t flags = nd_sock_flags(sock);
    return nd_sock_limits_by(sock, flags & ND_SOCK_LISTENING ? flags | ND_SOCK_INBOUND : flags);
}

/* RECV or SEND as they hold for this socket (AF_UNIX and UDP have rules of their own); 0 for off. */
static inline nd_time nd_recv_limit_by(uint32_t flags, const struct nd_limits *limits) {
    if (flags & ND_SOCK_STREAM)
        return flags & (ND_SOCK_INET | ND_SOCK_LOCAL) ? limits->recv : 0;
    /* A socket that was bound waits for requests, as a listener does, unless it is known to send them; others wait for
     * replies. */
    return (flags & ND_SOCK_CLIENT) || ((flags & ND_SOCK_INET) && !(flags & ND_SOCK_BOUND)) ? limits->recv : 0;
}

static inline nd_time nd_sock_recv_limit(const struct nd_sock *sock) {
    return nd_recv_limit_by(nd_sock_flags(sock), nd_sock_limits(sock));
}

static inline nd_time nd_send_limit_by(uint32_t flags, const struct nd_limits *limits) {
    return (flags & ND_SOCK_STREAM) && (flags & (ND_SOCK_INET | ND_SOCK_LOCAL)) ? limits->send : 0;
}

static inline nd_time nd_sock_send_limit(const struct nd_sock *sock) {
    return nd_send_limit_by(nd_sock_flags(sock), nd_sock_limits(sock));
}

/* Whether a limit bounds waits for send-buffer space: SEND, or UNACKED, which needs TCP's acknowledgements. */
static inline bool nd_send_space_limited_by(uint32_t flags, const struct nd_limits *limits) {
    const uint32_t tcp = ND_SOCK_STREAM | ND_SOCK_INET;
    return nd_send_limit_by(flags, limits) || ((flags & tcp) == tcp && limits->unacked);
}

static inline bool nd_sock_send_space_limited(const struct nd_sock *sock) {
    return nd_send_space_limited_by(nd_sock_flags(sock), nd_sock_limits(sock));
}

/* Whether IDLE, LIFETIME or MIN_RATE holds for this socket: an established internet connection. */
static inline bool nd_connection_limited_by(uint32_t flags, const struct nd_limits *limits) {
    const uint32_t needs = ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED;
    return (limits->idle || limits->lifetime || limits->min_rate_bytes) && (flags & needs) == needs;
}

static inline bool nd_sock_connection_limited(const struct nd_sock *sock) {
    return nd_connection_limited_by(nd_sock_flags(sock), nd_sock_limits(sock));
}

/* UNACKED as it holds for a wait for input on a socket with these flags: of a TCP connection; 0 for off. */
static inline nd_time nd_gone_limit_by(uint32_t flags, const struct nd_limits *limits) {
    const uint32_t tcp = ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED;
    return (flags & tcp) == tcp ? limits->unacked : 0;
}

static inline nd_time nd_gone_limit(const struct nd_sock *sock) {
    return nd_gone_limit_by(nd_sock_flags(sock), nd_sock_limits(sock));
}

/* Whether it may end a call before RECV (0: none), which the kernel times. */
static inline bool nd_gone_first(const struct nd_sock *sock, nd_time recv) {
    const nd_time gone = nd_gone_limit(sock);
    return gone && (!recv || gone < recv);
}

/* CONNECT as it holds for this socket, and ACCEPT as it holds for this listener; 0 for off. */
static inline nd_time nd_sock_connect_limit(const struct nd_sock *sock) {
    uint8_t profile = atomic_load_explicit(&sock->profile, memory_order_relaxed);
    return profile ? nd_profiles[profile].connect : nd_settings.connect;
}

static inline nd_time nd_sock_accept_limit(const struct nd_sock *sock) {
    uint8_t profile = atomic_load_explicit(&sock->profile, memory_order_relaxed);
    if (!(nd_sock_flags(sock) & ND_SOCK_LISTENING))
        return 0;
    return profile ? nd_profiles[profile].accept : nd_settings.accept;
}

/* ESTABLISH as it holds for this socket; 0 for off. */
static inline nd_time nd_sock_establish_limit(const struct nd_sock *sock) {
    uint8_t profile = atomic_load_explicit(&sock->profile, memory_order_relaxed);
    return __builtin_expect(profile != 0, 0) ? nd_profiles[profile].establish : nd_settings.establish;
}

/* When the budget of the socket's connection began (socket/establish.h); 0 where it has none, or its TLS handshake is
 * over. */
static inline nd_time nd_establish_began(const struct nd_sock *sock) {
    return sock->establish.generation == sock->generation ? sock->establish.began : 0;
}

/* Lowers the deadline of a connect that began at `began` to the end of its share of the budget. Returns whether that is
 * the earlier one. */
static inline bool nd_establish_bounds(const struct nd_sock *sock, nd_time limit, nd_time began, nd_time *deadline) {
    const nd_time known = nd_establish_began(sock);
    if (!(nd_sock_flags(sock) & ND_SOCK_INET))
        return false;
    const nd_time end = nd_time_after(known ? known : began, limit);
    const nd_time own = end > began ? began + nd_budget_share(end - began, known ? sock->establish.others : 0) : end;
    const bool is_earlier = own < *deadline;
    *deadline = is_earlier ? own : *deadline;
    return is_earlier;
}

/* Sets *deadline to that of a connect of this socket that began at `began`, ND_NEVER where there is none, and returns
 * the limit that it is of: CONNECT or ESTABLISH. */
static inline enum nd_limit nd_connect_bound(const struct nd_sock *sock, nd_time began, nd_time *deadline) {
    const nd_time limit = nd_sock_connect_limit(sock), establish = nd_sock_establish_limit(sock);
    *deadline = limit ? nd_time_after(began, limit) : ND_NEVER;
    return __builtin_expect(establish != 0, 0) && nd_establish_bounds(sock, establish, began, deadline)
               ? ND_LIMIT_ESTABLISH
               : ND_LIMIT_CONNECT;
}

static inline nd_time nd_connect_deadline(const struct nd_sock *sock, nd_time began) {
    nd_time deadline;
    nd_connect_bound(sock, began, &deadline);
    return deadline;
}

/* `limit` as it holds for this socket, with ND_LIMIT_INBOUND where that is so. */
_Static_assert((int)ND_LIMITS <= (int)ND_LIMIT_INBOUND, "the bit is above every limit");
static inline unsigned nd_limit_of(const struct nd_sock *sock, enum nd_limit limit) {
    return (unsigned)limit | (nd_sock_flags(sock) & ND_SOCK_INBOUND ? ND_LIMIT_INBOUND : 0U);
}

/* Its name, "RECV" or "INBOUND_RECV". */
static inline const char *nd_limit_name(const struct nd_sock *sock, enum nd_limit limit) {
    return nd_limit_name_on(limit, nd_sock_flags(sock) & ND_SOCK_INBOUND);
}
