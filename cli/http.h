/* A small HTTP server for one page: bounded clients, each of which has a deadline, and nothing that a client sends is
 * kept but the path. */
#pragma once

#include <poll.h>
#include <signal.h>
#include <stdbool.h>

#include "base/clock.h"

enum { HTTP_CLIENTS = 16, HTTP_MOST_REQUEST = 4096 };

/* From its first byte to the end of the answer. */
#define HTTP_TIME (10 * ND_SEC)

enum http_state { HTTP_FREE, HTTP_READING, HTTP_WRITING, HTTP_DRAINING };

struct http_client {
    enum http_state state;
    int fd;
    nd_time began, deadline;
    char request[HTTP_MOST_REQUEST];
    size_t used;
    char *answer; /* of malloc(3) */
    size_t size, sent;
};

struct http {
    int listener;
    const char *path;                       /* of the page: "/metrics" */
    const char *type;                       /* its Content-Type */
    char *(*page)(size_t *size, void *arg); /* makes it, for the caller to free; NULL without memory */
    void *arg;
    nd_time (*clock)(void);
    struct http_client clients[HTTP_CLIENTS];
};

/* Listens at ADDRESS:PORT, [ADDRESS]:PORT, PORT (of the loopback) or unix:PATH. Replaces a local socket that nobody
 * listens at any more. Returns a descriptor, or -1 with what is wrong in *wrong. */
int http_listen(const char *where, const char **wrong);

/* Whether the address is one that only this host reaches. */
bool http_is_local(int listener);

/* Serves whoever is ready, and waits for that until `until` at most, with the signal mask *mask (NULL: its own). */
void http_serve(struct http *http, nd_time until, const sigset_t *mask);

/* Closes all connections and the listener. */
void http_close(struct http *http);
