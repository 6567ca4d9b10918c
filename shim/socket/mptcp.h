/* Multipath TCP: a connection that may go over several subflows, which the kernel shows as one socket. Everything here
 * is async-signal-safe and keeps errno. */
#pragma once

#include "base/clock.h"
#include "shim/socket/record.h"

/* What the record says of the protocol. */
enum nd_protocol { ND_PROTOCOL_UNKNOWN, ND_PROTOCOL_OTHER, ND_PROTOCOL_MPTCP };

/* Whether `fd` is an MPTCP socket. The protocol that the program gave does not tell: a library behind this one, or a
 * BPF program, may have replaced it. Asks the kernel once. */
bool nd_is_mptcp(int fd, struct nd_sock *sock);

/* The same once the kernel has been asked, as it has of every socket that a deadline ended. */
static inline bool nd_is_known_mptcp(const struct nd_sock *sock) {
    return sock->protocol == ND_PROTOCOL_MPTCP;
}

/* What the kernel reports of a whole connection (MPTCP_INFO). Times are as in struct nd_tcp_info. */
struct nd_mptcp_info {
    bool has_several; /* subflows, or has had */
    bool has_bytes;   /* Linux 6.5 */
    bool has_times;   /* Linux 6.10 */
    uint64_t bytes_acked, bytes_received;
    nd_time last_data_sent, last_data_recv, last_ack_recv;
};

/* Reads it. False where the connection has fallen back to TCP, or the kernel does not tell. */
bool nd_mptcp_info_read(int fd, struct nd_mptcp_info *info);

/* Takes an answer of `length` bytes, laid out as the kernel's struct mptcp_info. */
void nd_mptcp_info_decode(struct nd_mptcp_info *info, const void *answer, size_t length);
