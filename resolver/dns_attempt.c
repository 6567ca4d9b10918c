#define CARES_NO_DEPRECATED /* ares_getsock and ares_process_fd: 1.18 has nothing else */
#include "resolver/dns_attempt.h"

#include <ares.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "resolver/channel_pool.h"
#include "resolver/dns_packet.h"

/* The only address that c-ares sees. The real one, with its scope and port, is used in connect: 1.18 knows no scopes,
 * and 1.34 drops link-local servers without an interface name. Connected sockets receive from no other address. */
static const struct in_addr placeholder = {.s_addr = 0x0100007f};

static int set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ? -1 : 0;
}

static ares_socket_t open_socket(int family, int type, int protocol, void *user) {
    struct nd_attempt *a = user;
    (void)family;
    int real_family = a->server->sa.sa_family;
    int fd = socket(real_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0 && errno == EINVAL) { /* before Linux 2.6.27 */
        fd = socket(real_family, type, protocol);
        if (fd >= 0 && set_nonblocking(fd) != 0) {
            close(fd);
            fd = -1;
        }
    }
    if (fd < 0) {
        a->socket_error = errno;
    } else if (!nd_own_add(&a->sockets, fd)) {
        fd = -1;
    }
    if (type == SOCK_STREAM) {
        int on = 1;
        if (fd >= 0) /* both questions are sent without delay */
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return fd;
}

static int close_socket(ares_socket_t fd, void *user) {
    return nd_own_close(&((struct nd_attempt *)user)->sockets, fd);
}

static bool is_ours(void *user, ares_socket_t fd) {
    if (nd_own_has(&((struct nd_attempt *)user)->sockets, fd))
        return true;
    errno = EBADF;
    return false;
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t size, void *user) {
    const union nd_server *server = ((struct nd_attempt *)user)->server;
    (void)address;
    (void)size;
    if (!is_ours(user, fd))
        return -1;
    return connect(fd, &server->sa, server->sa.sa_family == AF_INET ? sizeof server->v4 : sizeof server->v6);
}

/* The sockets are non-blocking. MSG_DONTWAIT is for a descriptor that the program replaces between the check and the
 * call: it must not wait on that. */
static ares_ssize_t send_bytes(ares_socket_t fd, const struct iovec *vector, int count, void *user) {
    struct nd_attempt *a = user;
    struct msghdr message = {.msg_iov = (struct iovec *)vector, .msg_iovlen = (size_t)count};
    if (a->sending >= 0 && count > 0 && vector->iov_len >= 2)
        memcpy(a->questions[a->sending].id, vector->iov_base, 2);
    ssize_t n = is_ours(a, fd) ? sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) : -1;
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        a->unreachable = true;
        a->tcp_error = errno;
    }
    return n;
}

/* Some servers send an error without the question section, which glibc accepts as an answer. c-ares would go on
 * waiting, so the question is added. */
static ssize_t add_question(const struct nd_attempt *a, uint8_t *packet, ssize_t size, size_t capacity) {
    unsigned rcode = size == ND_DNS_HEADER ? nd_dns_rcode(packet) : ND_NOERROR;
    if ((rcode != ND_SERVFAIL && rcode != ND_NOTIMP && rcode != ND_REFUSED) || nd_get16(packet + 4) != 0)
        return size;
    for (int i = 0; i < 2; i++) {
        const struct nd_attempt_question *q = &a->questions[i];
        uint8_t name[ND_WIRE_NAME_MAX];
        if (!q->sent || q->done || memcmp(q->packet, packet, 2) != 0)
            continue;
        int used = nd_name_unpack(q->packet, q->size, ND_DNS_HEADER, name);
        if (used < 0 || ND_DNS_HEADER + (size_t)used + 4 > q->size || ND_DNS_HEADER + (size_t)used + 4 > capacity)
            continue;
        memset(packet + 4, 0, 8);
        packet[5] = 1;
        memcpy(packet + ND_DNS_HEADER, q->packet + ND_DNS_HEADER, (size_t)used + 4);
        return ND_DNS_HEADER + used + 4;
    }
    return size;
}

/* c-ares 1.28 and later parses answers and writes them anew, with names compressed in another way. */
static bool writes_anew(void) {
    int version;
    ares_version(&version);
    return version >= 0x011c00;
}

/* Keeps the message as it was sent, for on_ares_answer, where c-ares writes it anew; without memory that one is taken.
 * Returns whether the message is to a question that was sent. */
static bool keep_as_sent(struct nd_attempt *a, const uint8_t *message, size_t size) {
    bool is_to_any = false;
    for (int i = 0; i < 2; i++) {
        struct nd_attempt_question *q = &a->questions[i];
        if (!q->sent || !nd_dns_same_question(q->packet, q->size, message, size))
            continue;
        is_to_any = true;
        if (!a->writes_anew || q->done || (!a->tcp && memcmp(q->id, message, 2) != 0))
            continue;
        free(q->as_sent);
        q->as_sent = malloc(size);
        q->as_sent_size = size;
        if (q->as_sent)
            memcpy(q->as_sent, message, size);
    }
    return is_to_any;
}

static void keep_stream(struct nd_attempt *a, const uint8_t *bytes, size_t size) {
    uint8_t *bigger = realloc(a->stream, a->stream_size + size);
    a->has_stream = bigger != NULL;
    if (!bigger)
        return;
    memcpy(bigger + a->stream_size, bytes, size);
    a->stream = bigger;
    a->stream_size += size;
    size_t at = 0;
    for (size_t whole; a->stream_size - at >= 2; at += 2 + whole) {
        whole = nd_get16(bigger + at);
        if (a->stream_size - at - 2 < whole)
            break;
        a->useless |= !keep_as_sent(a, bigger + at + 2, whole);
    }
    a->stream_size -= at;
    memmove(bigger, bigger + at, a->stream_size);
}

/* libc takes datagrams of any size. c-ares before 1.28 has room for 4,096 bytes: of a larger one it is given the
 * beginning, which is all that it looks at. */
static ssize_t receive_large(struct nd_attempt *a, int fd, void *buffer, size_t size, int flags) {
    free(a->large);
    a->large = NULL;
    ssize_t n = recv(fd, NULL, 0, flags | MSG_PEEK | MSG_TRUNC);
    if (n < (ssize_t)size || !(a->large = malloc((size_t)n)))
        return n < 0 ? n : recv(fd, buffer, size, flags);
    n = recv(fd, a->large, (size_t)n, flags);
    if (n > 0)
        memcpy(buffer, a->large, (size_t)n < size ? (size_t)n : size);
    return n;
}

/* The first large datagram has been cut: to look at the size of each one before would cost every lookup a system call.
 * Its question is sent once more. */
static ssize_t expect_large(struct nd_attempt *a, const uint8_t *packet) {
    a->expects_large = true;
    for (int i = 0; i < 2; i++)
        if (a->questions[i].sent && !a->questions[i].done && memcmp(a->questions[i].id, packet, 2) == 0)
            nd_attempt_resend(a, i);
    errno = EAGAIN;
    return -1;
}

static ares_ssize_t receive_bytes(ares_socket_t fd, void *buffer, size_t size, int flags, struct sockaddr *from,
                                  ares_socklen_t *from_size, void *user) {
    struct nd_attempt *a = user;
    if (!is_ours(a, fd))
        return -1;
    if (!from || !from_size) { /* TCP */
        ssize_t n = recv(fd, buffer, size, flags | MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            a->tcp_error = n < 0 ? errno : 0;
        if (n > 0 && a->has_stream)
            keep_stream(a, buffer, (size_t)n);
        return n;
    }
    flags |= MSG_DONTWAIT;
    ssize_t n = a->expects_large ? receive_large(a, fd, buffer, size, flags) : recv(fd, buffer, size, flags);
    a->datagram = buffer;
    a->datagram_size = n > 0 ? (size_t)n : 0;
    if (n >= (ssize_t)size && size >= ND_DNS_HEADER && !a->large) { /* it may have been cut */
        if (!a->expects_large && size < UINT16_MAX)
            return expect_large(a, buffer);
        ((uint8_t *)buffer)[2] |= ND_DNS_TC; /* the whole of it is asked for by TCP */
    }
    if (n > (ssize_t)size)
        n = (ssize_t)size;
    struct sockaddr_in shown = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr = placeholder};
    if ((size_t)*from_size >= sizeof shown) {
        memcpy(from, &shown, sizeof shown);
        *from_size = sizeof shown;
    }
    n = n == ND_DNS_HEADER ? add_question(a, buffer, n, size) : n;
    if (n > 0 && a->writes_anew)
        keep_as_sent(a, buffer, (size_t)n);
    return n;
}

static const struct ares_socket_functions socket_functions = {
    .asocket = open_socket,
    .aclose = close_socket,
    .aconnect = connect_socket,
    .arecvfrom = receive_bytes,
    .asendv = send_bytes,
};

/* Sets everything that c-ares would otherwise read from files and the environment. */
static int init_channel(struct nd_attempt *a, bool use_tcp) {
    struct in_addr server = placeholder;
    char lookups[] = "b";
    struct ares_options options = {
        /* IGNTC: a truncated answer is passed on, as dns_ask.c decides about TCP. */
        .flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_IGNTC,
        .timeout = 24 * 3600 * 1000, /* dns_ask.c has the timeouts */
        .tries = 1,
        .ndots = 1,
        .servers = &server,
        .nservers = 1,
        .lookups = lookups,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_SERVERS |
               ARES_OPT_LOOKUPS | ARES_OPT_DOMAINS | ARES_OPT_SORTLIST;
    if (use_tcp)
        options.flags |= ARES_FLAG_USEVC;
#if ARES_VERSION >= 0x011800 /* 1.24 and later read the file always */
    char nothing[] = "/dev/null";
    options.resolvconf_path = nothing;
    mask |= ARES_OPT_RESOLVCONF;
#endif
#ifdef ARES_OPT_MAXTIMEOUTMS /* 1.34 has 5 s otherwise, whatever the timeout is */
    options.maxtimeout = options.timeout;
    mask |= ARES_OPT_MAXTIMEOUTMS;
#endif
#ifdef ARES_OPT_QUERY_CACHE /* 1.31 and later cache answers for an hour, glibc does not, and channels are reused */
    options.qcache_max_ttl = 0;
    mask |= ARES_OPT_QUERY_CACHE;
#endif
    return ares_init_options(&a->channel, &options, mask);
}

/* c-ares calls nothing of the lookup's when a channel is destroyed. */
static void release(struct nd_held *held) {
    nd_attempt_free((struct nd_attempt *)((char *)held - offsetof(struct nd_attempt, held)));
}

struct nd_attempt *nd_attempt_new(const union nd_server *server, bool use_tcp, nd_attempt_done *on_answer,
                                  void *owner) {
    struct nd_attempt *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->server = server;
    a->on_answer = on_answer;
    a->owner = owner;
    a->tcp = use_tcp;
    a->sending = -1;
    a->tcp_error = ETIMEDOUT;
    a->has_stream = use_tcp;
    a->writes_anew = writes_anew();
    a->channel = use_tcp ? NULL : nd_pool_take();
    if (!a->channel && init_channel(a, use_tcp) != ARES_SUCCESS) {
        free(a);
        return NULL;
    }
    ares_set_socket_functions(a->channel, &socket_functions, a);
    a->held.release = release;
    nd_hold(&a->held);
    return a;
}

static void on_ares_answer(void *arg, int status, int timeouts, unsigned char *bytes, int size) {
    struct nd_attempt_question *q = arg;
    (void)timeouts;
    if (q->done)
        return;
    q->done = true;
    if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED)
        return;
    struct nd_attempt *a = q->attempt;
    a->failures += status != ARES_SUCCESS;
    if (status != ARES_SUCCESS || !bytes || size < ND_DNS_HEADER) {
        a->on_answer(a->owner, a, q->which, NULL, 0);
        return;
    }
    q->answered = true;
    a->answered++;
    size_t whole = (size_t)size;
    /* Before 1.28 the size of a datagram is given as 512 at most, also where EDNS allows more; the buffer still has the
     * whole of it, or its beginning. */
    if (!a->tcp && bytes == a->datagram && whole < a->datagram_size) {
        bytes = a->large ? a->large : bytes;
        whole = a->datagram_size;
    }
    if (q->as_sent) {
        bytes = q->as_sent;
        whole = q->as_sent_size;
    }
    memcpy(bytes, q->packet, 2); /* 1.34 replaces the id by its own */
    a->on_answer(a->owner, a, q->which, bytes, whole);
}

/* Ends the attempt. Not in a callback, where c-ares would free what it still uses (CVE-2026-33630). */
static void abandon(struct nd_attempt *a) {
    ares_cancel(a->channel);
    for (int i = 0; i < 2; i++)
        if (a->questions[i].sent)
            a->on_answer(a->owner, a, i, NULL, 0);
}

bool nd_attempt_pending(const struct nd_attempt *a) {
    for (int i = 0; i < 2; i++)
        if (a->questions[i].sent && !a->questions[i].done)
            return true;
    return false;
}

void nd_attempt_send(struct nd_attempt *a, int which, const uint8_t *packet, size_t size) {
    struct nd_attempt_question *q = &a->questions[which];
    *q = (struct nd_attempt_question){.attempt = a, .which = which, .packet = packet, .size = size, .sent = true};
    a->sending = a->tcp ? -1 : which;
    ares_send(a->channel, packet, (int)size, on_ares_answer, q);
    a->sending = -1;
    /* An ICMP error for the first question is reported once, here to the second one: neither will be answered. */
    if (a->unreachable && nd_attempt_pending(a))
        abandon(a);
}

void nd_attempt_resend(struct nd_attempt *a, int which) {
    const struct nd_attempt_question *q = &a->questions[which];
    struct iovec parts[2] = {{(void *)(uintptr_t)q->id, 2}, {(void *)(uintptr_t)(q->packet + 2), q->size - 2}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    for (int i = 0; i < a->sockets.count; i++)
        if (nd_own_has(&a->sockets, a->sockets.known[i].fd))
            sendmsg(a->sockets.known[i].fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int nd_attempt_poll_set(const struct nd_attempt *a, struct pollfd fds[ND_ATTEMPT_FDS]) {
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    int bits = ares_getsock(a->channel, sockets, ND_ATTEMPT_FDS), count = 0;
    for (int i = 0; i < ND_ATTEMPT_FDS; i++) {
        short events =
            (short)((ARES_GETSOCK_READABLE(bits, i) ? POLLIN : 0) | (ARES_GETSOCK_WRITABLE(bits, i) ? POLLOUT : 0));
        if (events)
            fds[count++] = (struct pollfd){.fd = sockets[i], .events = events};
    }
    return count;
}

void nd_attempt_process(struct nd_attempt *a, const struct pollfd *fds, int count) {
    for (int i = 0; i < count; i++) {
        short r = fds[i].revents;
        if (r & POLLNVAL) { /* the program has closed the socket: there will be no answer */
            abandon(a);
            return;
        }
        bool readable = r & (POLLIN | POLLERR | POLLHUP);
        bool writable = r & (POLLOUT | POLLERR | POLLHUP) && fds[i].events & POLLOUT;
        if (readable || writable)
            ares_process_fd(a->channel, readable ? fds[i].fd : ARES_SOCKET_BAD, writable ? fds[i].fd : ARES_SOCKET_BAD);
    }
    if (a->useless && nd_attempt_pending(a)) /* c-ares would wait for a better one */
        abandon(a);
}

void nd_attempt_free(struct nd_attempt *a) {
    if (!a)
        return;
    nd_drop(&a->held);
    /* clean: everything sent has been answered over UDP, and c-ares has closed its socket */
    bool clean = !a->tcp && !a->unreachable && a->sockets.count == 0 && a->failures == 0 && !nd_attempt_pending(a);
    if (clean)
        nd_pool_give(a->channel);
    else
        ares_destroy(a->channel);
    for (int i = 0; i < 2; i++)
        free(a->questions[i].as_sent);
    free(a->stream);
    free(a->large);
    free(a);
}
