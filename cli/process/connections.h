/* The TCP connections of a network namespace, as the kernel's sock_diag lists them, and the descriptors that processes
 * have of them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "shim/socket/tcp_info.h"

/* One connection. Its cookie is given to no other socket of the namespace as long as the system runs; the number of its
 * inode is used again once it is closed. */
struct connection {
    uint64_t cookie;
    uint32_t inode; /* 0: no process has it any more */
    uint32_t uid;
    uint8_t state;                         /* TCP_ESTABLISHED ... */
    bool is_inbound;                       /* accepted: a listener of the namespace has its port */
    uint32_t receive_queue, send_queue;    /* bytes: not read by the program; not acknowledged by the peer */
    bool is_full;                          /* the send buffer has no room that a writer would be told of */
    uint32_t interface;                    /* that it is bound to, or 0 */
    nd_time timer;                         /* until the next retransmission or probe of the window; -1: not known */
    struct sockaddr_storage local, remote; /* of AF_INET or AF_INET6 */
    struct nd_tcp_info info;
};

/* What was found, in no order. `listeners` holds ports, sorted. */
struct connection_list {
    struct connection *entries;
    size_t count, room;
    uint16_t *listeners;
    size_t listener_count, listener_room;
};

/* Which connections are wanted. */
enum connection_kind { CONNECTIONS_ALL, CONNECTIONS_CONNECTING };

/* Replaces what is in *list by the namespace's connections from their first SYN on until both sides have closed.
 * `is_inbound` is known of CONNECTIONS_ALL only. Returns 0, or -1 and errno where the kernel does not list them. */
int connections_read(int netlink, enum connection_kind kind, struct connection_list *list);

void connections_free(struct connection_list *list);

/* Since when, in ns before now, what is outstanding (data, or the SYN of a connect) has been, at least: by the
 * retransmissions that were made and the time that the next one is away. */
nd_time connection_outstanding(const struct connection *connection);

/* Whether the numbers of SO_MEMINFO say that the send buffer has no room that a writer would be told of. */
bool connection_is_full(const void *memory, size_t size);

/* Asks the kernel to end the connection (SOCK_DESTROY). That takes CAP_NET_ADMIN in the namespace. Returns 0, or -1 and
 * errno: ENOENT where it is gone, EOPNOTSUPP where the kernel was built without. */
int connection_destroy(int netlink, const struct connection *connection);
