#include "resolver/kept_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "resolver/dns_message.h"
#include "resolver/own_sockets.h"
#include "resolver/socket_wait.h"
#include "resolver/unfinished.h"

#ifndef RES_F_VC
#define RES_F_VC 1 /* _vcsock is a connection; in headers before glibc 2.26 */
#endif

/* While a question is under way its connection is the lookup's, not the state's: one that the lookup was left with, by a
 * jump, has half an answer in it, and the state may be gone. */
struct exchange {
    struct nd_held held;
    struct nd_unfinished *unfinished;
    struct nd_own_sockets sockets;
    int fd;
    nd_time deadline;
};

/* Takes the connection out of the state. -1: there is none. */
static int take_out(struct __res_state *state) {
    int fd = state->_flags & RES_F_VC ? state->_vcsock : -1;
    if (fd >= 0) {
        state->_vcsock = -1;
        state->_flags &= ~(unsigned)RES_F_VC;
    }
    return fd;
}

void nd_connection_keep(struct nd_resolv_conf *conf, struct __res_state *state) {
    if ((state->options & RES_STAYOPEN) && (state->options & RES_USEVC)) {
        conf->keeper = state;
        return;
    }
    int saved = errno, fd = take_out(state);
    if (fd >= 0)
        close(fd);
    errno = saved;
}

static socklen_t size_of(const union nd_server *server) {
    return server->sa.sa_family == AF_INET ? sizeof server->v4 : sizeof server->v6;
}

static bool is_same_server(const union nd_server *a, const union nd_server *b) {
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return a->v6.sin6_port == b->v6.sin6_port && memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, 16) == 0;
}

/* Whether the descriptor still is the connection to the server: the program may have closed it, or asks another one. */
static bool is_connected(int fd, const union nd_server *server) {
    union nd_server peer;
    socklen_t size = sizeof peer;
    char byte;
    memset(&peer, 0, sizeof peer);
    return getpeername(fd, &peer.sa, &size) == 0 && is_same_server(&peer, server) &&
           recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static bool wait_for(struct exchange *e, short events) {
    return nd_socket_wait(e->unfinished, &e->sockets, e->fd, events, e->deadline);
}

static bool set_blocking(int fd, bool blocking) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) == 0;
}

static bool connect_to(struct exchange *e, const union nd_server *server) {
    int error = 0, on = 1, fd = e->fd;
    socklen_t size = sizeof error;
    if (!set_blocking(fd, false) || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        return false;
    if (connect(fd, &server->sa, size_of(server)) != 0 && (errno != EINPROGRESS || !wait_for(e, POLLOUT)))
        return false;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0 && set_blocking(fd, true);
}

static bool open_connection(struct exchange *e, const union nd_server *server) {
    e->fd = socket(server->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (e->fd >= 0 && !nd_own_add(&e->sockets, e->fd))
        e->fd = -1;
    return e->fd >= 0 && connect_to(e, server);
}

static bool send_questions(struct exchange *e, const struct nd_ask *ask) {
    for (int i = 0; i < ask->question_count; i++) {
        size_t size = ask->questions[i].size;
        uint8_t length[2] = {(uint8_t)(size >> 8), (uint8_t)size};
        struct iovec parts[2] = {{length, 2}, {(void *)(uintptr_t)ask->questions[i].packet, size}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        if (!nd_own_has(&e->sockets, e->fd) ||
            sendmsg(e->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)(size + 2))
            return false;
    }
    return true;
}

static bool receive(struct exchange *e, uint8_t *to, size_t size) {
    for (size_t got = 0; got < size;) {
        ssize_t n = nd_own_has(&e->sockets, e->fd) ? recv(e->fd, to + got, size - got, MSG_DONTWAIT) : 0;
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        if (n < 0 && !wait_for(e, POLLIN))
            return false;
        got += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* Takes a message that answers one of the questions; libc passes over others, too. */
static void take(struct nd_ask *ask, uint8_t *bytes, size_t size) {
    for (int i = 0; i < ask->question_count; i++) {
        struct nd_dns_message *m = &ask->answers[i];
        if (m->bytes || size < ND_DNS_HEADER || !(bytes[2] & 0x80) || memcmp(bytes, ask->questions[i].packet, 2) != 0)
            continue;
        if (!ask->conf->trust_ad)
            bytes[3] &= (uint8_t)~0x20;
        *m = (struct nd_dns_message){.bytes = bytes, .size = size, .by_tcp = true};
        if (ask->question_count == 2 && !ask->answers[1 - i].bytes)
            ask->first = i;
        ask->last_rcode = nd_dns_rcode(bytes);
        return;
    }
    nd_message_free(bytes);
}

static bool is_answered(const struct nd_ask *ask) {
    return ask->answers[0].bytes && (ask->question_count < 2 || ask->answers[1].bytes);
}

static bool make_exchange(struct exchange *e, struct nd_ask *ask) {
    uint8_t length[2];
    if (!send_questions(e, ask))
        return false;
    while (!is_answered(ask)) {
        if (!receive(e, length, sizeof length))
            return false;
        size_t size = nd_get16(length);
        uint8_t *bytes = nd_message_new(size + 1);
        if (!bytes || !receive(e, bytes, size)) {
            nd_message_free(bytes);
            return false;
        }
        take(ask, bytes, size);
    }
    return true;
}

static void close_socket(struct exchange *e) {
    if (e->fd >= 0)
        nd_own_close(&e->sockets, e->fd);
    e->fd = -1;
}

static void release(struct nd_held *held) {
    close_socket((struct exchange *)held);
    free(held);
}

/* Takes the connection out of the state; one to another server is closed. False: there is none to this one. */
static bool take_connection(struct exchange *e, struct __res_state *keeper, const union nd_server *server) {
    int fd = take_out(keeper);
    if (fd < 0)
        return false;
    if (!is_connected(fd, server)) {
        close(fd);
        return false;
    }
    e->fd = nd_own_add(&e->sockets, fd) ? fd : -1;
    return e->fd >= 0;
}

static void put_connection(struct exchange *e, struct __res_state *keeper) {
    keeper->_vcsock = e->fd;
    keeper->_flags |= RES_F_VC;
    e->fd = -1;
}

static bool ask_over(struct exchange *e, struct nd_ask *ask) {
    struct __res_state *keeper = ask->conf->keeper;
    const union nd_server *server = &ask->conf->servers[0];
    if ((!take_connection(e, keeper, server) && !open_connection(e, server)) || !make_exchange(e, ask)) {
        nd_ask_free(ask);
        return false;
    }
    put_connection(e, keeper);
    ask->error = 0;
    return true;
}

static void put_conf(void *conf) {
    nd_resolv_conf_put(conf);
}

bool nd_connection_ask(struct nd_ask *ask) {
    const struct nd_resolv_conf *conf = ask->conf;
    int saved = errno;
    if (!conf->keeper || conf->rotate || conf->server_count == 0)
        return false;
    nd_time now = nd_now(), left = nd_lookup_deadline(ask->lookup) - now;
    struct exchange *e = left > 0 ? malloc(sizeof *e) : NULL;
    bool good = false;
    if (e) {
        nd_time deadline = now + nd_time_sooner(left / (conf->server_count + 1), conf->timeout_s * ND_SEC);
        *e = (struct exchange){.held = {.release = release}, .fd = -1, .deadline = deadline};
        e->unfinished = nd_unfinished_begin(ask->lookup);
        nd_unfinished_own(e->unfinished, put_conf, (struct nd_resolv_conf *)(uintptr_t)conf);
        nd_hold(&e->held);
        good = ask_over(e, ask);
        close_socket(e);
        nd_drop(&e->held);
        nd_unfinished_end(e->unfinished);
        free(e);
    }
    errno = saved;
    return good;
}
