#include "cli/process/connections.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/process/array.h"

enum { BUFFER = 64 * 1024, TIMER_RETRANSMIT = 1, TIMER_PROBE = 4 };

#define STATE(name) (1U << (name))
#define CONNECTED_STATES                                                                                               \
    (STATE(TCP_ESTABLISHED) | STATE(TCP_SYN_SENT) | STATE(TCP_FIN_WAIT1) | STATE(TCP_FIN_WAIT2) |                      \
     STATE(TCP_CLOSE_WAIT) | STATE(TCP_LAST_ACK) | STATE(TCP_CLOSING))

/* What is listed of each. */
#define WANTED (1 << (INET_DIAG_INFO - 1) | 1 << (INET_DIAG_SKMEMINFO - 1))

#ifndef SOCK_DESTROY
#define SOCK_DESTROY 21 /* Linux 4.5 */
#endif

static struct connection *add_entry(struct connection_list *list) {
    if (!array_grow(&list->entries, list->count, &list->room, sizeof *list->entries, 256))
        return NULL;
    struct connection *entry = &list->entries[list->count++];
    memset(entry, 0, sizeof *entry);
    return entry;
}

static void add_listener(struct connection_list *list, uint16_t port) {
    if (!array_grow(&list->listeners, list->listener_count, &list->listener_room, sizeof *list->listeners, 64))
        return;
    list->listeners[list->listener_count++] = port;
}

static void take_address(struct sockaddr_storage *out, uint8_t family, const void *address, uint16_t port) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    if (family == AF_INET) {
        v4->sin_family = AF_INET;
        v4->sin_port = port;
        memcpy(&v4->sin_addr, address, sizeof v4->sin_addr);
    } else {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = port;
        memcpy(&v6->sin6_addr, address, sizeof v6->sin6_addr);
    }
}

/* The kernel tells writers of room when a third of the buffer is free. */
bool connection_is_full(const void *memory, size_t size) {
    uint32_t numbers[SK_MEMINFO_WMEM_QUEUED + 1];
    if (size < sizeof numbers)
        return false;
    memcpy(numbers, memory, sizeof numbers);
    return numbers[SK_MEMINFO_WMEM_QUEUED] > numbers[SK_MEMINFO_SNDBUF] / 3 * 2;
}

static void take_info(struct connection *connection, const struct nlmsghdr *header) {
    const char *attribute = (const char *)header + NLMSG_LENGTH(sizeof(struct inet_diag_msg));
    const char *end = (const char *)header + header->nlmsg_len;
    struct nlattr here;
    while (end - attribute >= (ptrdiff_t)sizeof here) {
        memcpy(&here, attribute, sizeof here);
        if (here.nla_len < sizeof here || here.nla_len > end - attribute)
            return;
        if (here.nla_type == INET_DIAG_SKMEMINFO)
            connection->is_full = connection_is_full(attribute + sizeof here, here.nla_len - sizeof here);
        if (here.nla_type == INET_DIAG_INFO)
            nd_tcp_info_decode(&connection->info, attribute + sizeof here, here.nla_len - sizeof here);
        attribute += NLA_ALIGN(here.nla_len);
    }
}

static void take_message(struct connection_list *list, const struct nlmsghdr *header) {
    struct inet_diag_msg message;
    if (header->nlmsg_len < NLMSG_LENGTH(sizeof message))
        return;
    memcpy(&message, NLMSG_DATA(header), sizeof message);
    if (message.idiag_state == TCP_LISTEN) {
        add_listener(list, message.id.idiag_sport);
        return;
    }
    struct connection *connection = add_entry(list);
    if (!connection)
        return;
    connection->cookie = message.id.idiag_cookie[0] | (uint64_t)message.id.idiag_cookie[1] << 32;
    connection->inode = message.idiag_inode;
    connection->uid = message.idiag_uid;
    connection->state = message.idiag_state;
    connection->interface = message.id.idiag_if;
    connection->receive_queue = message.idiag_rqueue;
    connection->send_queue = message.idiag_wqueue;
    const bool has_timer = message.idiag_timer == TIMER_RETRANSMIT || message.idiag_timer == TIMER_PROBE;
    connection->timer = has_timer ? message.idiag_expires * ND_MSEC : -1;
    take_address(&connection->local, message.idiag_family, message.id.idiag_src, message.id.idiag_sport);
    take_address(&connection->remote, message.idiag_family, message.id.idiag_dst, message.id.idiag_dport);
    connection->info.state = message.idiag_state;
    take_info(connection, header);
}

/* The number of the last request, by which its answers are told from those that an earlier one has left. */
static uint32_t sequence;

/* Takes what one read has given. Returns 1 at the end of the list, 0 where more comes, -1 and errno. */
static int take_messages(struct connection_list *list, const char *buffer, size_t size) {
    const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)buffer;
    for (; NLMSG_OK(header, size); header = NLMSG_NEXT(header, size)) {
        if (header->nlmsg_seq != sequence)
            continue;
        if (header->nlmsg_type == NLMSG_DONE)
            return 1;
        if (header->nlmsg_type == NLMSG_ERROR) {
            struct nlmsgerr error = {.error = -EPROTO};
            if (header->nlmsg_len >= NLMSG_LENGTH(sizeof error))
                memcpy(&error, NLMSG_DATA(header), sizeof error);
            errno = -error.error;
            return error.error ? -1 : 1;
        }
        take_message(list, header);
    }
    return 0;
}

struct request {
    struct nlmsghdr header;
    struct inet_diag_req_v2 diag;
};

static int read_answer(int netlink, struct connection_list *list) {
    static char buffer[BUFFER] __attribute__((aligned(NLMSG_ALIGNTO)));
    for (int end = 0; end == 0;) {
        ssize_t got = recv(netlink, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR)
            continue;
        end = got > 0 ? take_messages(list, buffer, (size_t)got) : -1;
        if (end < 0)
            return -1;
    }
    return 0;
}

static int dump_family(int netlink, uint8_t family, uint32_t states, struct connection_list *list) {
    struct request request = {
        .header = {.nlmsg_len = sizeof request,
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                   .nlmsg_seq = ++sequence},
        .diag = {.sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_ext = WANTED, .idiag_states = states},
    };
    return send(netlink, &request, sizeof request, 0) < 0 ? -1 : read_answer(netlink, list);
}

/* The older request lists both families in one walk through the kernel's table, which is large even where it is empty. */
static int dump_all(int netlink, uint32_t states, struct connection_list *list) {
    struct {
        struct nlmsghdr header;
        struct inet_diag_req diag;
    } request = {
        .header = {.nlmsg_len = sizeof request,
                   .nlmsg_type = TCPDIAG_GETSOCK,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                   .nlmsg_seq = ++sequence},
        .diag = {.idiag_family = AF_INET, .idiag_ext = WANTED, .idiag_states = states},
    };
    return send(netlink, &request, sizeof request, 0) < 0 ? -1 : read_answer(netlink, list);
}

static int dump(int netlink, uint32_t states, struct connection_list *list) {
    if (dump_all(netlink, states, list) == 0)
        return 0;
    list->count = list->listener_count = 0;
    return dump_family(netlink, AF_INET, states, list) != 0 || dump_family(netlink, AF_INET6, states, list) != 0 ? -1
                                                                                                                 : 0;
}

static int by_port(const void *a, const void *b) {
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* The kernel tells who made a connection, unless that is half closed; then a listener on its port says that it was
 * accepted. */
static bool was_accepted(const struct connection_list *list, const struct connection *connection) {
    uint16_t port = ((const struct sockaddr_in *)&connection->local)->sin_port; /* at the same place in both families */
    if (connection->state == TCP_SYN_SENT || nd_tcp_made_here(&connection->info, connection->send_queue))
        return false;
    return list->listener_count > 0 && bsearch(&port, list->listeners, list->listener_count, sizeof port, by_port);
}

int connections_read(int netlink, enum connection_kind kind, struct connection_list *list) {
    const uint32_t states = kind == CONNECTIONS_ALL ? CONNECTED_STATES | STATE(TCP_LISTEN) : STATE(TCP_SYN_SENT);
    list->count = list->listener_count = 0;
    if (dump(netlink, states, list) != 0)
        return -1;
    if (list->listener_count > 0)
        qsort(list->listeners, list->listener_count, sizeof *list->listeners, by_port);
    for (size_t i = 0; i < list->count; i++)
        list->entries[i].is_inbound = was_accepted(list, &list->entries[i]);
    return 0;
}

void connections_free(struct connection_list *list) {
    free(list->entries);
    free(list->listeners);
    *list = (struct connection_list){0};
}

/* The kernel tells of a probe of the peer's window only when the next will be sent; the timeout is doubled each time,
 * and not longer than this (TCP_RTO_MAX). A probe with data is a sending, whose time is known. */
static nd_time probe_outstanding(const struct connection *connection, unsigned backoff) {
    const struct nd_tcp_info *info = &connection->info;
    const nd_time interval = nd_time_sooner(info->rto << backoff, 120 * ND_SEC), before = nd_tcp_unacked_for(info);
    const bool has_data = info->last_data_sent < info->last_ack_recv;
    if (!nd_tcp_unanswered(info) || has_data || connection->timer >= interval)
        return before;
    return nd_time_sooner(before + interval - connection->timer, info->last_ack_recv);
}

/* Each retransmission has doubled the timeout, but for the first few of a SYN, which are as far apart as the first from
 * the SYN (net.ipv4.tcp_syn_linear_timeouts). */
nd_time connection_outstanding(const struct connection *connection) {
    const struct nd_tcp_info *info = &connection->info;
    unsigned backoff = info->backoff < 32 ? info->backoff : 31;
    const bool is_new = connection->state == TCP_SYN_SENT;
    if (!(info->known & ND_TCP_TIMES) || connection->timer < 0 || info->rto <= 0)
        return is_new ? 0 : nd_tcp_unacked_for(info);
    if (!is_new && info->unacked == 0)
        return probe_outstanding(connection, backoff);
    nd_time first = info->rto >> backoff, sum = info->rto - first;
    if (info->retransmits > backoff)
        sum += (info->retransmits - backoff) * first;
    return connection->timer < info->rto ? sum + info->rto - connection->timer : sum;
}

static void put_id(struct inet_diag_sockid *id, const struct connection *connection) {
    const struct sockaddr_in *v4[] = {(const void *)&connection->local, (const void *)&connection->remote};
    const struct sockaddr_in6 *v6[] = {(const void *)&connection->local, (const void *)&connection->remote};
    __be32 *addresses[] = {id->idiag_src, id->idiag_dst};
    for (int i = 0; i < 2; i++) {
        if (connection->local.ss_family == AF_INET)
            memcpy(addresses[i], &v4[i]->sin_addr, sizeof v4[i]->sin_addr);
        else
            memcpy(addresses[i], &v6[i]->sin6_addr, sizeof v6[i]->sin6_addr);
    }
    id->idiag_if = connection->interface;
    id->idiag_sport = v4[0]->sin_port;
    id->idiag_dport = v4[1]->sin_port;
    id->idiag_cookie[0] = (uint32_t)connection->cookie;
    id->idiag_cookie[1] = (uint32_t)(connection->cookie >> 32);
}

int connection_destroy(int netlink, const struct connection *connection) {
    char buffer[1024] __attribute__((aligned(NLMSG_ALIGNTO)));
    struct connection_list none = {0};
    struct request request = {
        .header = {.nlmsg_len = sizeof request,
                   .nlmsg_type = SOCK_DESTROY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
                   .nlmsg_seq = ++sequence},
        .diag = {.sdiag_family = (uint8_t)connection->local.ss_family,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = STATE(connection->state)},
    };
    put_id(&request.diag.id, connection);
    if (send(netlink, &request, sizeof request, 0) < 0)
        return -1;
    for (;;) {
        ssize_t got = recv(netlink, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR)
            continue;
        int end = got > 0 ? take_messages(&none, buffer, (size_t)got) : -1, error = errno;
        connections_free(&none); /* the answer is no list */
        errno = error;
        if (end != 0)
            return end > 0 ? 0 : -1;
    }
}
