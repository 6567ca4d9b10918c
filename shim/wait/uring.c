#include "shim/wait/uring.h"

#include <string.h>

#include "base/line.h"
#include "shim/raw.h"
#include "shim/socket/change.h"

void nd_uring_noted(bool is_new) {
    nd_sock_uring_changes++;
    for (int fd = 0; is_new && fd <= nd_sock_highest(); fd++) {
        struct nd_sock *sock = nd_sock_lookup(fd);
        if (sock && (nd_sock_flags(sock) & ND_SOCK_EPOLL))
            nd_sock_change(fd, sock, 0, 0); /* from now on each wait for the set is watched */
    }
}

/* The number after `name` in `line`, in base 10 or 16; 0 if there is none. */
static uint64_t number_after(const char *line, const char *name, unsigned base) {
    const char *c = strstr(line, name);
    uint64_t number = 0;
    for (c = c ? c + strlen(name) : ""; *c == ' ';)
        c++;
    for (;; c++) {
        unsigned digit = *c >= '0' && *c <= '9'   ? (unsigned)(*c - '0')
                         : *c >= 'a' && *c <= 'f' ? (unsigned)(*c - 'a' + 10)
                                                  : 16;
        if (digit >= base)
            return number;
        number = number * base + digit;
    }
}

/* Reads a line like "tfd:        5 events:       19 data:                5  pos:0 ino:2b sdev:9"; events and data are
 * hexadecimal. */
static void read_line(int epfd, const char *line, void (*visit)(int epfd, int fd, const struct epoll_event *event)) {
    struct epoll_event event = {.events = (uint32_t)number_after(line, "events:", 16)};
    event.data.u64 = number_after(line, "data:", 16);
    if (strncmp(line, "tfd:", 4) == 0)
        visit(epfd, (int)number_after(line, "tfd:", 10), &event);
}

bool nd_uring_members(int epfd, void (*visit)(int epfd, int fd, const struct epoll_event *event)) {
    char path[48], bytes[1024], text[128];
    struct nd_line name;
    size_t length = 0;
    long got;
    nd_line_start(&name, path, sizeof path);
    nd_line_put(&name, "/proc/self/fdinfo/");
    nd_line_put_number(&name, (uint64_t)epfd, 1);
    int fd = (int)ND_RAW6(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0)
        return false;
    while ((got = ND_RAW3(read, fd, bytes, sizeof bytes)) > 0) {
        for (long i = 0; i < got; i++) {
            if (bytes[i] != '\n') {
                if (length < sizeof text - 1)
                    text[length++] = bytes[i];
                continue;
            }
            text[length] = '\0';
            length = 0;
            read_line(epfd, text, visit);
        }
    }
    ND_RAW3(close, fd, 0, 0);
    return got == 0;
}
