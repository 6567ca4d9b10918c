/* Where the server listens. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/http.h"

#define UNIX "unix:"

/* A local socket that a server has left behind refuses every connection. */
static void remove_left_behind(const struct sockaddr_un *address) {
    struct stat file;
    if (lstat(address->sun_path, &file) != 0 || !S_ISSOCK(file.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED)
        unlink(address->sun_path);
    if (fd >= 0)
        close(fd);
}

static int listen_locally(const char *path, const char **wrong) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] != '/' || strlen(path) >= sizeof address.sun_path) {
        *wrong = "is no absolute path, or too long";
        return -1;
    }
    strcpy(address.sun_path, path);
    remove_left_behind(&address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t before = umask(0117); /* its user and group */
    int status = fd >= 0 ? bind(fd, (struct sockaddr *)&address, sizeof address) : -1;
    umask(before);
    if (status == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    *wrong = strerror(errno);
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Splits ADDRESS:PORT. A port alone is one of the loopback. */
static bool split(const char *where, char *host, size_t size, const char **port) {
    const char *colon = strrchr(where, ':');
    size_t length = colon ? (size_t)(colon - where) : 0;
    *port = colon ? colon + 1 : where;
    if (length >= 2 && where[0] == '[' && where[length - 1] == ']')
        where++, length -= 2;
    else if (memchr(where, ':', length))
        return false; /* an IPv6 address, of which the last part could be meant as a port */
    if (length >= size || !**port || strspn(*port, "0123456789") != strlen(*port) || strlen(*port) > 5 ||
        atoi(*port) > UINT16_MAX)
        return false;
    if (length == 0)
        snprintf(host, size, "127.0.0.1");
    else
        snprintf(host, size, "%.*s", (int)length, where);
    return true;
}

int http_listen(const char *where, const char **wrong) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char host[128];
    const char *port;
    const int on = 1;
    if (strncmp(where, UNIX, sizeof UNIX - 1) == 0)
        return listen_locally(where + sizeof UNIX - 1, wrong);
    if (!split(where, host, sizeof host, &port) || getaddrinfo(host, port, &hints, &found) != 0) {
        *wrong = "is not ADDRESS:PORT, with a numeric address, nor PORT or unix:PATH";
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
        *wrong = strerror(errno);
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

bool http_is_local(int listener) {
    struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof own;
    if (getsockname(listener, (struct sockaddr *)&own, &length) != 0)
        return false;
    const struct sockaddr_in *v4 = (const void *)&own;
    const struct sockaddr_in6 *v6 = (const void *)&own;
    if (own.ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    return own.ss_family == AF_UNIX || (own.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr));
}
