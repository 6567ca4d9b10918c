#include "resolver/kept_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#pragma weak pthread_setcancelstate /* NULL in a program without libpthread (glibc < 2.34) */

#ifndef RES_F_VC
#define RES_F_VC 1 /* _vcsock is a connection; in headers before glibc 2.26 */
#endif

bool nd_connection_is_kept(const struct __res_state *state) {
    return (state->options & RES_STAYOPEN) && (state->options & RES_USEVC);
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

static bool wait_for(int fd, short events, nd_time deadline) {
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        nd_time now = nd_now();
        int n = now < deadline ? poll(&p, 1, nd_time_poll_ms(deadline, now)) : 0;
        if (n > 0 || n == 0 || errno != EINTR)
            return n > 0 && !(p.revents & POLLNVAL);
    }
}

static bool set_blocking(int fd, bool blocking) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) == 0;
}

static bool connect_to(int fd, const union nd_server *server, nd_time deadline) {
    int error = 0, on = 1;
    socklen_t size = sizeof error;
    if (!set_blocking(fd, false) || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        return false;
    if (connect(fd, &server->sa, size_of(server)) != 0 && (errno != EINPROGRESS || !wait_for(fd, POLLOUT, deadline)))
        return false;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0 && set_blocking(fd, true);
}

static int open_connection(const union nd_server *server, nd_time deadline) {
    int fd = socket(server->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && !connect_to(fd, server, deadline)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool send_questions(int fd, const struct nd_ask *ask) {
    for (int i = 0; i < ask->question_count; i++) {
        size_t size = ask->questions[i].size;
        uint8_t length[2] = {(uint8_t)(size >> 8), (uint8_t)size};
        struct iovec parts[2] = {{length, 2}, {(void *)(uintptr_t)ask->questions[i].packet, size}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        if (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)(size + 2))
            return false;
    }
    return true;
}

static bool receive(int fd, uint8_t *to, size_t size, nd_time deadline) {
    for (size_t got = 0; got < size;) {
        ssize_t n = recv(fd, to + got, size - got, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        if (n < 0 && !wait_for(fd, POLLIN, deadline))
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
        ask->last_rcode = nd_dns_rcode(bytes);
        return;
    }
    free(bytes);
}

static bool is_answered(const struct nd_ask *ask) {
    return ask->answers[0].bytes && (ask->question_count < 2 || ask->answers[1].bytes);
}

static bool exchange(int fd, struct nd_ask *ask, nd_time deadline) {
    uint8_t length[2];
    if (!send_questions(fd, ask))
        return false;
    while (!is_answered(ask)) {
        if (!receive(fd, length, sizeof length, deadline))
            return false;
        size_t size = nd_get16(length);
        uint8_t *bytes = malloc(size + 1);
        if (!bytes || !receive(fd, bytes, size, deadline)) {
            free(bytes);
            return false;
        }
        take(ask, bytes, size);
    }
    return true;
}

static void drop(struct __res_state *keeper) {
    close(keeper->_vcsock);
    keeper->_vcsock = -1;
    keeper->_flags &= ~(unsigned)RES_F_VC;
}

/* Makes the connection in `keeper` one to the server. */
static bool prepare(struct __res_state *keeper, const union nd_server *server, nd_time deadline) {
    if (keeper->_vcsock >= 0 && (keeper->_flags & RES_F_VC) && is_connected(keeper->_vcsock, server))
        return true;
    if (keeper->_vcsock >= 0)
        drop(keeper);
    keeper->_vcsock = open_connection(server, deadline);
    if (keeper->_vcsock >= 0)
        keeper->_flags |= RES_F_VC;
    return keeper->_vcsock >= 0;
}

bool nd_connection_ask(struct nd_ask *ask) {
    struct __res_state *keeper = ask->conf->keeper;
    const struct nd_resolv_conf *conf = ask->conf;
    int old_state = 0, saved = errno;
    if (!keeper || conf->rotate || conf->server_count == 0)
        return false;
    if (pthread_setcancelstate)
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old_state);
    nd_time now = nd_now(), left = nd_lookup_deadline(ask->lookup) - now;
    nd_time deadline = now + nd_time_sooner(left / (conf->server_count + 1), conf->timeout_s * ND_SEC);
    bool good = left > 0 && prepare(keeper, &conf->servers[0], deadline);
    if (good && !exchange(keeper->_vcsock, ask, deadline)) {
        drop(keeper);
        nd_ask_free(ask);
        good = false;
    }
    if (good)
        ask->error = 0;
    errno = saved;
    if (pthread_setcancelstate)
        pthread_setcancelstate(old_state, NULL);
    return good;
}
