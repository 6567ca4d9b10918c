#include "cli/process/process_connections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/process/connections_open.h"
#include "cli/process/descriptors.h"
#include "cli/process/judge.h"

enum { MOST_NAMESPACES = 64 };

static struct known {
    uint64_t namespace;
    int error;
    nd_time read_at;
    struct connection_list list; /* by inode */
} known[MOST_NAMESPACES];
static int known_count;

static int by_inode(const void *a, const void *b) {
    uint32_t x = ((const struct connection *)a)->inode, y = ((const struct connection *)b)->inode;
    return x < y ? -1 : x > y;
}

static int read_lists(pid_t pid, struct connection_list *list) {
    int netlink = connections_open(pid);
    if (netlink < 0)
        return errno ? errno : EPERM;
    int status = connections_read(netlink, CONNECTIONS_ALL, list) == 0 ? 0 : errno;
    close(netlink);
    if (list->count > 0)
        qsort(list->entries, list->count, sizeof *list->entries, by_inode);
    return status;
}

static const struct known *find_lists(pid_t pid) {
    uint64_t namespace = connections_namespace(pid);
    for (int i = 0; i < known_count; i++)
        if (known[i].namespace == namespace)
            return &known[i];
    if (known_count == MOST_NAMESPACES)
        process_connections_forget();
    struct known *new = &known[known_count++];
    *new = (struct known){.namespace = namespace, .read_at = nd_now()};
    new->error = read_lists(pid, &new->list);
    return new;
}

struct visit {
    const struct connection_list *list;
    void (*call)(const struct connection *connection, int fd, void *arg);
    void *arg;
};

static const struct connection *find(const struct connection_list *list, uint32_t inode) {
    const struct connection key = {.inode = inode};
    return list->count > 0 ? bsearch(&key, list->entries, list->count, sizeof *list->entries, by_inode) : NULL;
}

static bool visit_descriptor(const struct process_descriptor *descriptor, void *arg) {
    const struct visit *visit = arg;
    const struct connection *found = descriptor->inode ? find(visit->list, descriptor->inode) : NULL;
    if (found)
        visit->call(found, descriptor->fd, visit->arg);
    return false;
}

int process_connections(pid_t pid, void (*call)(const struct connection *connection, int fd, void *arg), void *arg) {
    const struct known *lists = find_lists(pid);
    struct visit visit = {&lists->list, call, arg};
    if (lists->error) {
        errno = lists->error;
        return -1;
    }
    return descriptors_each(pid, NULL, visit_descriptor, &visit) < 0 ? -1 : 0;
}

bool process_connection(pid_t pid, int fd, struct connection *connection) {
    const uint32_t inode = descriptor_look(pid, fd).inode;
    const struct known *lists = inode ? find_lists(pid) : NULL;
    const struct connection *found = lists ? find(&lists->list, inode) : NULL;
    if (!found)
        return false;
    const nd_time age = nd_now() - lists->read_at;
    *connection = *found;
    connection->info.last_data_sent += age;
    connection->info.last_data_recv += age;
    connection->info.last_ack_recv += age;
    return true;
}

void process_connections_forget(void) {
    for (int i = 0; i < known_count; i++)
        connections_free(&known[i].list);
    known_count = 0;
}

/* Since when a goroutine is owed bytes; -1 where none is. It is taken to have waited since anything last moved. */
static nd_time awaited(struct judge *judge, const struct connection *connection, struct go_program *go, int fd) {
    if (!go || connection->is_inbound || !go_waits_for_input(go, fd))
        return -1;
    judge_receiving(judge, true, judge->requested);
    return judge_call_pending(judge, connection);
}

void connection_trouble(const struct connection *connection, struct go_program *go, int fd,
                        struct connection_trouble *trouble) {
    const nd_time now = nd_now();
    struct judge judge;
    *trouble = (struct connection_trouble){-1, -1, -1, -1};
    judge_begin(&judge, connection, now);
    judge.is_only = !go; /* to be shown, unless goroutines tell */
    if (judge.connecting) {
        trouble->connecting = now - judge.connect_began;
        return;
    }
    nd_time pending = judge_reply_pending(&judge, connection), unacked = judge_unacked(&judge);
    if (pending >= 0 && go && go_ignores_input(go, fd))
        pending = -1;
    else if (pending < 0)
        pending = awaited(&judge, connection, go, fd);
    trouble->reply_pending = pending >= 0 ? now - pending : -1;
    trouble->unacked = unacked >= 0 ? now - unacked : -1;
    if (connection->is_full)
        trouble->stalled = connection->info.last_data_sent;
}

const char *connection_state(uint8_t state) {
    static const char *const names[] = {[TCP_ESTABLISHED] = "established",
                                        [TCP_SYN_SENT] = "syn-sent",
                                        [TCP_SYN_RECV] = "syn-recv",
                                        [TCP_FIN_WAIT1] = "fin-wait-1",
                                        [TCP_FIN_WAIT2] = "fin-wait-2",
                                        [TCP_TIME_WAIT] = "time-wait",
                                        [TCP_CLOSE] = "closed",
                                        [TCP_CLOSE_WAIT] = "close-wait",
                                        [TCP_LAST_ACK] = "last-ack",
                                        [TCP_LISTEN] = "listen",
                                        [TCP_CLOSING] = "closing"};
    return state < sizeof names / sizeof names[0] && names[state] ? names[state] : "unknown";
}
