/* A program without libpthread on a glibc before 2.34: lookups that only libc can make are made, without a bound, which
 * is told once; with libpthread brought by dlopen they are bounded; and a libresolv brought the same way is found. On
 * later glibcs all are bounded. Needs a silent name server at 127.0.0.1, RESOLVE=500ms, LOG=FILE, HOSTALIASES, and
 * RES_OPTIONS of "timeout:2 attempts:1", so that libc gives up by itself. Any argument says that libpthread has been
 * preloaded. Exit status 1: one was wrong. */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int failed;

static double now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void check(const char *what, double began, int bounded, int good) {
    double took = now() - began;
    good = good && took > 0.45 && (bounded ? took < 1.9 : took > 1.9);
    printf("%-32s %.2f s, %s: %s\n", what, took, strerror(errno), good ? "ok" : "WRONG");
    failed |= !good;
}

static void serve_nothing(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(53)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&at, sizeof at) != 0) {
        perror("cannot serve");
        _exit(2);
    }
}

/* `name` has no dot: where HOSTALIASES is set it is for libc alone. */
static void look_up(const char *what, const char *name, int bounded) {
    struct addrinfo *found, hints = {.ai_family = AF_INET, .ai_socktype = 1};
    double began = now();
    errno = 0;
    int error = getaddrinfo(name, NULL, &hints, &found);
    check(what, began, bounded, error == EAI_AGAIN);
}

static int told(void) {
    char line[1000];
    int count = 0;
    FILE *log = fopen(getenv("NETDEADLINE_LOG"), "re");
    while (log && fgets(line, sizeof line, log))
        count += strstr(line, "without a limit") != NULL;
    return count;
}

int main(int argc, char **argv) {
    typedef int query_fn(const char *, int, int, unsigned char *, int);
    unsigned char answer[512];
    int major = 0, minor = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    major = (int)strtol(gnu_get_libc_version(), NULL, 10);
    minor = (int)strtol(strchr(gnu_get_libc_version(), '.') + 1, NULL, 10);
    int has_threads = major > 2 || minor >= 34 || argc > 1;
    (void)argv;
    serve_nothing();
    look_up("without libpthread", "a", has_threads);
    look_up("without libpthread, again", "b", has_threads);
    if (told() != !has_threads) {
        printf("told %d times: WRONG\n", told());
        failed = 1;
    }

    /* As a plugin's call would: by the name that comes first in the program. */
    void *library = dlopen("libresolv.so.2", RTLD_NOW | RTLD_LOCAL);
    query_fn *query = (query_fn *)dlsym(RTLD_DEFAULT, "__res_search");
    if (!library || !query) {
        printf("no libresolv: WRONG\n");
        return 1;
    }
    double began = now();
    errno = 0;
    int length = query("c", ns_c_in, ns_t_a, answer, sizeof answer);
    check("libresolv of a plugin", began, has_threads, length == -1 && errno != ENOSYS);

    if (!dlopen("libpthread.so.0", RTLD_NOW | RTLD_LOCAL))
        failed = 1;
    look_up("with libpthread of a plugin", "d", 1);
    return failed;
}
