#include "shim/report/sink.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "shim/raw.h"
#include "shim/settings/endpoint.h"

/* All system calls are raw: those of libc are cancellation points, and a thread that is cancelled here would leak a
 * descriptor. */

static int raw_open(const char *path, int flags) {
    return (int)ND_RAW6(openat, AT_FDCWD, path, flags, 0640, 0, 0);
}

static void raw_close(int fd) {
    ND_RAW3(close, fd, 0, 0);
}

static ssize_t raw_write(int fd, const char *text, size_t length) {
    return ND_RAW3(write, fd, text, length);
}

static int raw_socket(int family) {
#ifdef SYS_socketcall /* i386 has the single calls only since Linux 4.3 */
    long args[] = {family, SOCK_DGRAM | SOCK_CLOEXEC, 0};
    return (int)ND_RAW3(socketcall, 1, args, 0);
#else
    return (int)ND_RAW3(socket, family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
#endif
}

static ssize_t raw_send(int fd, const char *text, size_t length, const void *to, socklen_t to_length) {
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
#ifdef SYS_socketcall
    long args[] = {fd, (long)text, (long)length, flags, (long)to, (long)to_length};
    return ND_RAW3(socketcall, 11, args, 0);
#else
    return ND_RAW6(sendto, fd, text, length, flags, to, to_length);
#endif
}

static enum { STDERR_UNKNOWN, STDERR_KNOWN, STDERR_ABSENT } stderr_state;
static dev_t stderr_device;
static ino_t stderr_inode;

void nd_sink_remember_stderr(void) {
    struct stat status;
    if (fstat(2, &status) != 0) {
        stderr_state = STDERR_ABSENT;
        return;
    }
    stderr_device = status.st_dev;
    stderr_inode = status.st_ino;
    stderr_state = STDERR_KNOWN;
}

static bool is_same_stderr(const struct stat *now) {
    if (stderr_state == STDERR_KNOWN)
        return now->st_dev == stderr_device && now->st_ino == stderr_inode;
    return stderr_state == STDERR_UNKNOWN;
}

/* A full pipe or terminal would block, and O_NONBLOCK on descriptor 2 would hold for every process that shares it: so
 * the file is opened once more. Where that is not allowed (another user's terminal, no /proc), a poll precedes the
 * write, which then waits only if another process fills the pipe in between. */
static ssize_t write_without_waiting(const char *text, size_t length) {
    int fd = raw_open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t written = raw_write(fd, text, length);
        raw_close(fd);
        return written;
    }
    struct pollfd out = {.fd = 2, .events = POLLOUT};
    if (nd_raw_poll(&out, 1, 0) != 1 || out.revents != POLLOUT)
        return -1;
    return raw_write(2, text, length);
}

int nd_sink_stderr(const char *text, size_t length) {
    struct stat status;
    ssize_t written;
    if (fstat(2, &status) != 0 || !is_same_stderr(&status))
        return -1;
    if (S_ISSOCK(status.st_mode))
        written = raw_send(2, text, length, NULL, 0);
    else if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))
        written = write_without_waiting(text, length);
    else
        written = raw_write(2, text, length);
    return written == (ssize_t)length ? 0 : -1;
}

int nd_sink_file(const char *path, const char *text, size_t length) {
    int fd = raw_open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t written = raw_write(fd, text, length);
    raw_close(fd);
    return written == (ssize_t)length ? 0 : -1;
}

static int send_datagram(const void *to, socklen_t to_length, const char *text, size_t length) {
    int fd = raw_socket(((const struct sockaddr *)to)->sa_family);
    if (fd < 0)
        return -1;
    ssize_t sent = raw_send(fd, text, length, to, to_length);
    raw_close(fd);
    return sent == (ssize_t)length ? 0 : -1;
}

int nd_sink_syslog(const char *text, size_t length) {
    static const struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    return send_datagram(&to, sizeof to, text, length);
}

int nd_sink_statsd(const char *address, const char *text, size_t length) {
    struct nd_endpoint_address to;
    if (!nd_endpoint_parse_address(address, &to))
        return -1;
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(to.port), .sin6_addr = to.address};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = v6.sin6_port};
    memcpy(&v4.sin_addr, &to.address.s6_addr[12], sizeof v4.sin_addr);
    return IN6_IS_ADDR_V4MAPPED(&to.address) ? send_datagram(&v4, sizeof v4, text, length)
                                             : send_datagram(&v6, sizeof v6, text, length);
}

static void fill_held(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGPIPE);
    sigaddset(set, SIGXFSZ);
    sigaddset(set, SIGTTOU);
}

void nd_hush(struct nd_hushed *hushed) {
    sigset_t held;
    fill_held(&held);
    sigprocmask(SIG_BLOCK, &held, &hushed->mask); /* on Linux this changes the mask of the thread alone */
    sigpending(&hushed->pending);
}

void nd_unhush(const struct nd_hushed *hushed) {
    static const int raised_by_write[] = {SIGPIPE, SIGXFSZ};
    struct timespec at_once = {0, 0};
    sigset_t now, taken;
    sigpending(&now);
    for (size_t i = 0; i < sizeof raised_by_write / sizeof raised_by_write[0]; i++) {
        int number = raised_by_write[i];
        if (!sigismember(&now, number) || sigismember(&hushed->pending, number))
            continue;
        sigemptyset(&taken);
        sigaddset(&taken, number);
        ND_RAW6(rt_sigtimedwait, &taken, NULL, &at_once, ND_KERNEL_SIGSET_SIZE, 0, 0);
    }
    sigprocmask(SIG_SETMASK, &hushed->mask, NULL);
}
