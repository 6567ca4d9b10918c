#include "shim/socket/mptcp.h"

#include <errno.h>
#include <string.h>

#include "shim/socket/option.h"

#define SOL_OF_MPTCP 284
#define INFO 1 /* MPTCP_INFO */

/* struct mptcp_info as Linux 6.10 has it. Kernels append to it, and cut it to what the caller takes. */
struct answer {
    uint8_t subflows /* besides the first */, addresses[5];
    uint32_t flags, token;
    uint64_t write_seq, snd_una, rcv_nxt;
    uint8_t local_addresses[2], csum_enabled;
    uint32_t retransmits;
    uint64_t bytes_retrans, bytes_sent, bytes_received, bytes_acked; /* Linux 6.5 */
    uint8_t subflows_total, reserved[3];
    uint32_t last_data_sent, last_data_recv, last_ack_recv; /* milliseconds; Linux 6.10 */
};
_Static_assert(offsetof(struct answer, write_seq) == 16 && offsetof(struct answer, bytes_acked) == 72 &&
                   offsetof(struct answer, last_ack_recv) == 92 && sizeof(struct answer) == 96,
               "the layout is the kernel's");

bool nd_is_mptcp(int fd, struct nd_sock *sock) {
    const uint32_t inet_stream = ND_SOCK_INET | ND_SOCK_STREAM;
    if (sock->protocol != ND_PROTOCOL_UNKNOWN)
        return nd_is_known_mptcp(sock);
    if ((nd_sock_flags(sock) & inet_stream) != inet_stream)
        return false;
    const int saved = errno, protocol = nd_option_get(fd, SOL_SOCKET, SO_PROTOCOL, -1);
    errno = saved;
    sock->protocol = protocol == ND_SOCK_MPTCP_PROTOCOL ? ND_PROTOCOL_MPTCP : ND_PROTOCOL_OTHER;
    return nd_is_known_mptcp(sock);
}

void nd_mptcp_info_decode(struct nd_mptcp_info *info, const void *answer, size_t length) {
    struct answer from;
    memset(&from, 0, sizeof from);
    memcpy(&from, answer, length < sizeof from ? length : sizeof from);
    *info = (struct nd_mptcp_info){.has_several = from.subflows > 0 || from.subflows_total > 1,
                                   .has_bytes = length >= offsetof(struct answer, subflows_total),
                                   .has_times = length >= sizeof from,
                                   .bytes_acked = from.bytes_acked,
                                   .bytes_received = from.bytes_received,
                                   .last_data_sent = from.last_data_sent * ND_MSEC,
                                   .last_data_recv = from.last_data_recv * ND_MSEC,
                                   .last_ack_recv = from.last_ack_recv * ND_MSEC};
}

bool nd_mptcp_info_read(int fd, struct nd_mptcp_info *info) {
    struct answer answer;
    socklen_t len = sizeof answer;
    const int saved = errno;
    const bool is_known = nd_real.getsockopt(fd, SOL_OF_MPTCP, INFO, &answer, &len) == 0;
    errno = saved;
    if (is_known)
        nd_mptcp_info_decode(info, &answer, len);
    return is_known;
}
