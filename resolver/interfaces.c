#include "resolver/interfaces.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_TURNS 1000  /* interruptions and messages of other processes: calls that always fail with EINTR end, too */
#define BUFFER_SIZE 8192 /* one part of a dump is at most a page or 8 KB */

/* Called for each message; false ends the dump. */
typedef bool visit_message(void *context, struct nlmsghdr *message);

static ssize_t receive(int fd, void *buffer, nd_time deadline) {
    struct sockaddr_nl from;
    struct iovec vector = {buffer, BUFFER_SIZE};
    for (int i = 0; i < MOST_TURNS; i++) {
        struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &vector, .msg_iovlen = 1};
        ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT); /* the kernel's answer is usually there already */
        if (n > 0 && from.nl_pid != 0)
            continue;
        if (n >= 0)
            return message.msg_flags & MSG_TRUNC ? -1 : n;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return -1;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        nd_time now = nd_now();
        const int ready = now < deadline ? poll(&p, 1, nd_time_poll_ms(deadline, now)) : 0;
        if (ready == 0 || (ready < 0 && errno != EINTR))
            return -1;
    }
    return -1;
}

/* Calls `visit` for each message. True: the dump was read to its end, or `visit` ended it. */
static bool read_dump(int fd, void *buffer, nd_time deadline, visit_message *visit, void *context) {
    for (;;) {
        ssize_t n = receive(fd, buffer, deadline);
        if (n <= 0)
            return false;
        unsigned left = (unsigned)n;
        for (struct nlmsghdr *m = buffer; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
            if (m->nlmsg_type == NLMSG_DONE)
                return true;
            if (m->nlmsg_type == NLMSG_ERROR)
                return false;
            if (!visit(context, m))
                return true;
        }
    }
}

static bool dump(uint16_t type, nd_time deadline, visit_message *visit, void *context) {
    struct {
        struct nlmsghdr header;
        struct rtgenmsg body;
        char pad[3];
    } request = {.header = {.nlmsg_len = sizeof request,
                            .nlmsg_type = type,
                            .nlmsg_flags = NLM_F_DUMP | NLM_F_REQUEST,
                            .nlmsg_seq = 1}};
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    nd_time limit = nd_time_after(nd_now(), ND_SEC);
    void *buffer = malloc(BUFFER_SIZE); /* not on the stack: threads with stacks of 64 KB make lookups, too */
    int fd = buffer ? socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE) : -1;
    bool whole = fd >= 0 && sendto(fd, &request, sizeof request, 0, (struct sockaddr *)&kernel, sizeof kernel) >= 0 &&
                 read_dump(fd, buffer, deadline < limit ? deadline : limit, visit, context);
    if (fd >= 0)
        close(fd);
    free(buffer);
    return whole;
}

static const void *find_address(const struct ifaddrmsg *message, size_t left) {
    const void *local = NULL;
    unsigned size = message->ifa_family == AF_INET ? 4 : 16;
    for (struct rtattr *a = IFA_RTA(message); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        if (RTA_PAYLOAD(a) < size)
            continue;
        if (a->rta_type == IFA_ADDRESS)
            return RTA_DATA(a);
        if (a->rta_type == IFA_LOCAL)
            local = RTA_DATA(a);
    }
    return local;
}

static bool add_address(void *context, struct nlmsghdr *m) {
    struct nd_interfaces *interfaces = context;
    const struct ifaddrmsg *message = NLMSG_DATA(m);
    if (m->nlmsg_type != RTM_NEWADDR || m->nlmsg_len < NLMSG_LENGTH(sizeof *message) ||
        (message->ifa_family != AF_INET && message->ifa_family != AF_INET6))
        return true;
    const void *address = find_address(message, m->nlmsg_len - NLMSG_LENGTH(sizeof *message));
    if (!address)
        return true;
    struct nd_interface_address entry = {
        .deprecated = (message->ifa_flags & (IFA_F_DEPRECATED | IFA_F_OPTIMISTIC)) != 0,
        .home = (message->ifa_flags & IFA_F_HOMEADDRESS) != 0,
        .prefix_length = message->ifa_prefixlen,
        .index = message->ifa_index,
    };
    if (message->ifa_family == AF_INET) {
        entry.address[10] = entry.address[11] = 0xff;
        memcpy(entry.address + 12, address, 4);
        uint32_t number;
        memcpy(&number, address, 4);
        interfaces->has_ipv4 |= number != htonl(INADDR_LOOPBACK);
    } else {
        memcpy(entry.address, address, 16);
        interfaces->has_ipv6 |= memcmp(address, &(struct in6_addr)IN6ADDR_LOOPBACK_INIT, 16) != 0;
    }
    size_t n = interfaces->count;
    if (n == 0 || (n >= 16 && (n & (n - 1)) == 0)) {
        void *bigger = realloc(interfaces->addresses, (n ? 2 * n : 16) * sizeof entry);
        if (!bigger)
            return false;
        interfaces->addresses = bigger;
    }
    interfaces->addresses[interfaces->count++] = entry;
    return true;
}

static int compare(const void *a, const void *b) {
    return memcmp(((const struct nd_interface_address *)a)->address, ((const struct nd_interface_address *)b)->address,
                  16);
}

void nd_interfaces_get(struct nd_interfaces *interfaces, nd_time deadline) {
    int saved = errno;
    *interfaces = (struct nd_interfaces){0};
    if (!dump(RTM_GETADDR, deadline, add_address, interfaces)) {
        nd_interfaces_free(interfaces);
        interfaces->has_ipv4 = interfaces->has_ipv6 = true;
    } else if (!interfaces->has_ipv6) {
        nd_interfaces_free(interfaces);
    } else {
        qsort(interfaces->addresses, interfaces->count, sizeof *interfaces->addresses, compare);
    }
    errno = saved;
}

void nd_interfaces_free(struct nd_interfaces *interfaces) {
    free(interfaces->addresses);
    interfaces->addresses = NULL;
    interfaces->count = 0;
}

const struct nd_interface_address *nd_interfaces_find(const struct nd_interfaces *interfaces,
                                                      const uint8_t address[16]) {
    struct nd_interface_address key = {0};
    memcpy(key.address, address, 16);
    return interfaces->count == 0 ? NULL : bsearch(&key, interfaces->addresses, interfaces->count, sizeof key, compare);
}

struct native_query {
    const uint32_t *indices;
    int *native;
    size_t count;
};

static bool store_native(void *context, struct nlmsghdr *m) {
    struct native_query *q = context;
    const struct ifinfomsg *message = NLMSG_DATA(m);
    if (m->nlmsg_type != RTM_NEWLINK || m->nlmsg_len < NLMSG_LENGTH(sizeof *message))
        return true;
    for (size_t i = 0; i < q->count; i++)
        if (q->indices[i] == (uint32_t)message->ifi_index)
            q->native[i] = message->ifi_type != ARPHRD_TUNNEL6 && message->ifi_type != ARPHRD_TUNNEL &&
                           message->ifi_type != ARPHRD_SIT;
    return true;
}

void nd_interfaces_native(const uint32_t *indices, int *native, size_t count, nd_time deadline) {
    int saved = errno;
    struct native_query q = {indices, native, count};
    memset(native, 0, count * sizeof *native);
    dump(RTM_GETLINK, deadline, store_native, &q);
    errno = saved;
}
