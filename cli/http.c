#include "cli/http.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* After its answer a client has this long to close: a close with unread bytes would reset the connection, and the
 * answer with it. */
#define DRAIN_TIME ND_SEC

/* When all places are taken, one that has been at it for this long has to go. */
#define PATIENCE ND_SEC

static void drop(struct http_client *client) {
    close(client->fd);
    free(client->answer);
    client->answer = NULL;
    client->state = HTTP_FREE;
}

/* Answers, with or without a body. The headers are for one connection each. */
static void answer(struct http_client *client, const char *status, const char *type, const char *body, size_t size,
                   bool with_body) {
    char head[512];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n"
                          "X-Content-Type-Options: nosniff\r\n\r\n",
                          status, type, size);
    size_t all = (size_t)length + (with_body ? size : 0);
    client->answer = malloc(all);
    if (!client->answer) {
        drop(client);
        return;
    }
    memcpy(client->answer, head, (size_t)length);
    if (with_body && size > 0)
        memcpy(client->answer + length, body, size);
    client->size = all;
    client->sent = 0;
    client->state = HTTP_WRITING;
}

static void answer_text(struct http_client *client, const char *status, const char *text, bool with_body) {
    answer(client, status, "text/plain; charset=utf-8", text, strlen(text), with_body);
}

/* Whether the request's target is the path, with or without a query. */
static bool is_target(const char *target, const char *path) {
    size_t length = strlen(path);
    return strncmp(target, path, length) == 0 && (target[length] == ' ' || target[length] == '?');
}

static void answer_request(const struct http *http, struct http_client *client) {
    const char *line = client->request;
    bool is_get = strncmp(line, "GET ", 4) == 0, is_head = strncmp(line, "HEAD ", 5) == 0;
    const char *target = line + (is_get ? 4 : 5), *version = strstr(line, " HTTP/1.");
    size_t size = 0;
    if (!version || version > line + strcspn(line, "\n")) {
        answer_text(client, "400 Bad Request", "not HTTP/1\n", true);
    } else if (!is_get && !is_head) {
        answer_text(client, "405 Method Not Allowed", "GET or HEAD\n", true);
    } else if (is_target(target, "/")) {
        answer_text(client, "200 OK", "netdeadline exporter: see /metrics\n", is_get);
    } else if (!is_target(target, http->path)) {
        answer_text(client, "404 Not Found", "no such page\n", is_get);
    } else {
        char *page = http->page(&size, http->arg);
        if (page)
            answer(client, "200 OK", http->type, page, size, is_get);
        else
            answer_text(client, "503 Service Unavailable", "no memory\n", is_get);
        free(page);
    }
}

static bool is_complete(const struct http_client *client) {
    return memmem(client->request, client->used, "\r\n\r\n", 4) || memmem(client->request, client->used, "\n\n", 2);
}

static void read_request(const struct http *http, struct http_client *client) {
    ssize_t got =
        recv(client->fd, client->request + client->used, sizeof client->request - 1 - client->used, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        drop(client);
        return;
    }
    client->used += (size_t)got;
    client->request[client->used] = '\0';
    if (is_complete(client) && strlen(client->request) == client->used)
        answer_request(http, client);
    else if (is_complete(client))
        answer_text(client, "400 Bad Request", "not text\n", true);
    else if (client->used == sizeof client->request - 1)
        answer_text(client, "431 Request Header Fields Too Large", "too long\n", true);
}

static void write_answer(struct http_client *client, nd_time now) {
    ssize_t sent =
        send(client->fd, client->answer + client->sent, client->size - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (sent < 0) {
        drop(client);
        return;
    }
    client->sent += (size_t)sent;
    if (client->sent < client->size)
        return;
    shutdown(client->fd, SHUT_WR);
    client->state = HTTP_DRAINING;
    if (client->deadline > now + DRAIN_TIME)
        client->deadline = now + DRAIN_TIME;
}

static void drain(struct http_client *client) {
    char scratch[1024];
    ssize_t got = recv(client->fd, scratch, sizeof scratch, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        drop(client);
}

/* A free place, or that of the client that has been at it for longest; NULL where all have come just now. */
static struct http_client *find_place(struct http *http, nd_time now) {
    struct http_client *oldest = &http->clients[0];
    for (int i = 0; i < HTTP_CLIENTS; i++) {
        if (http->clients[i].state == HTTP_FREE)
            return &http->clients[i];
        if (http->clients[i].began < oldest->began)
            oldest = &http->clients[i];
    }
    return now - oldest->began >= PATIENCE ? oldest : NULL;
}

static void take_client(struct http *http, nd_time now) {
    struct http_client *client = find_place(http, now);
    if (!client)
        return;
    int fd = accept(http->listener, NULL, NULL); /* accept4 is glibc 2.10's */
    if (fd < 0)
        return;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (client->state != HTTP_FREE)
        drop(client);
    client->state = HTTP_READING;
    client->fd = fd;
    client->began = now;
    client->deadline = now + HTTP_TIME;
    client->used = 0;
}

static void serve_client(const struct http *http, struct http_client *client, nd_time now) {
    if (client->state == HTTP_READING)
        read_request(http, client);
    if (client->state == HTTP_WRITING)
        write_answer(client, now);
    else if (client->state == HTTP_DRAINING)
        drain(client);
}

static void wait_for(struct pollfd *polled, nd_time time, const sigset_t *mask) {
    time = time > 0 ? time : 0;
    const struct timespec timeout = {(time_t)(time / ND_SEC), (long)(time % ND_SEC)};
    if (ppoll(polled, 1 + HTTP_CLIENTS, &timeout, mask) < 0)
        for (int i = 0; i <= HTTP_CLIENTS; i++)
            polled[i].revents = 0;
}

void http_serve(struct http *http, nd_time until, const sigset_t *mask) {
    struct pollfd polled[1 + HTTP_CLIENTS];
    nd_time now = http->clock(), next = until;
    /* While all places are taken by clients that have just come, others wait in the listener's queue. */
    const bool has_place = find_place(http, now) != NULL;
    polled[0] = (struct pollfd){.fd = has_place ? http->listener : -1, .events = POLLIN};
    if (!has_place && now + PATIENCE / 4 < next)
        next = now + PATIENCE / 4;
    for (int i = 0; i < HTTP_CLIENTS; i++) {
        const struct http_client *client = &http->clients[i];
        polled[1 + i] = (struct pollfd){.fd = client->state == HTTP_FREE ? -1 : client->fd,
                                        .events = client->state == HTTP_WRITING ? POLLOUT : POLLIN};
        if (client->state != HTTP_FREE && client->deadline < next)
            next = client->deadline;
    }
    wait_for(polled, next - now, mask);
    now = http->clock();
    for (int i = 0; i < HTTP_CLIENTS; i++) {
        struct http_client *client = &http->clients[i];
        if (client->state != HTTP_FREE && polled[1 + i].revents)
            serve_client(http, client, now);
        if (client->state != HTTP_FREE && now >= client->deadline)
            drop(client);
    }
    if (polled[0].revents)
        take_client(http, now);
}

void http_close(struct http *http) {
    for (int i = 0; i < HTTP_CLIENTS; i++)
        if (http->clients[i].state != HTTP_FREE)
            drop(&http->clients[i]);
    close(http->listener);
}
