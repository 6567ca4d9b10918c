/* Lookups per second, libc and the resolver in turn: bench NODE FAMILY THREADS SECONDS. Forks a name server for
 * 127.0.0.53 that gives every name one address. To be run in a private network namespace. */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resolver/resolver.h"
#include "serve.h"

static const char *node;
static int family, ours, stop;
static long lookups, failures;

static void *run(void *arg) {
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM}, *list;
    long n = 0, failed = 0;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        struct nd_lookup lookup = {.limit = 5 * ND_SEC};
        int code = ours ? nd_getaddrinfo(node, "80", &hints, &list, &lookup) : getaddrinfo(node, "80", &hints, &list);
        n++;
        failed += code != 0;
        if (code == 0)
            freeaddrinfo(list);
    }
    __atomic_add_fetch(&lookups, n, __ATOMIC_RELAXED);
    __atomic_add_fetch(&failures, failed, __ATOMIC_RELAXED);
    return arg;
}

static double measure(int threads, double seconds) {
    pthread_t ids[64];
    lookups = stop = 0;
    nd_time start = nd_now();
    for (int i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, run, NULL);
    usleep((useconds_t)(seconds * 1e6));
    stop = 1;
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    return (double)lookups * 1e9 / (double)(nd_now() - start);
}

int main(int argc, char **argv) {
    if (argc < 5)
        return 2;
    node = argv[1];
    family = atoi(argv[2]);
    int threads = atoi(argv[3]);
    pid_t server = serve();
    double sums[2] = {0, 0};
    for (int round = 0; round < 6; round++) { /* in turn: the machine's mood falls on both */
        ours = round & 1;
        sums[ours] += measure(threads, atof(argv[4]) / 6) / 3;
    }
    kill(server, SIGTERM);
    printf("%-22s family %2d, %2d threads: libc %8.0f/s, ours %8.0f/s, ratio %.2f%s\n", node, family, threads, sums[0],
           sums[1], sums[1] / sums[0], failures ? " (some failed)" : "");
}
