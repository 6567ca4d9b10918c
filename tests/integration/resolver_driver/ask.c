/* Looks a name up and tells what became of it and how long it took.
 *
 *   ask [-s STACK_BYTES] [-t THREADS] [-n LOOKUPS] [-c CANCEL_AFTER_MS] [-l] BUDGET_MS NODE [FAMILY]
 * Each thread makes LOOKUPS lookups. -l: libc's own lookup in a helper thread. Prints, of the last lookup: its code,
 * the longest time in ms, expired, addresses; then descriptors and threads that are left, and threads cancelled. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "resolver/helper_calls.h"
#include "resolver/resolver.h"

static const char *node;
static int budget_ms, family, lookups = 1, threads = 1, with_libc;
static int last_code, last_expired, last_count;
static nd_time longest;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void look_up(void) {
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM}, *list = NULL;
    nd_time start = nd_now();
    struct nd_lookup lookup = {.deadline = start + budget_ms * ND_MSEC};
    int count = 0;
    int code = with_libc ? nd_helper_getaddrinfo(getaddrinfo, node, "80", &hints, &list, &lookup)
                         : nd_getaddrinfo(node, "80", &hints, &list, &lookup);
    nd_time taken = nd_now() - start;
    for (struct addrinfo *i = code ? NULL : list; i; i = i->ai_next)
        count++;
    if (code == 0)
        freeaddrinfo(list);
    pthread_mutex_lock(&lock);
    last_code = code;
    last_expired = lookup.expired;
    last_count = count;
    longest = taken > longest ? taken : longest;
    pthread_mutex_unlock(&lock);
}

static void *run(void *arg) {
    for (int i = 0; i < lookups; i++)
        look_up();
    return arg;
}

static int count_entries(const char *path) {
    DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

int main(int argc, char **argv) {
    size_t stack = 0;
    int option, cancel_ms = -1, cancelled = 0;
    while ((option = getopt(argc, argv, "s:t:n:c:l")) != -1)
        switch (option) {
        case 's':
            stack = strtoul(optarg, NULL, 10);
            break;
        case 't':
            threads = atoi(optarg);
            break;
        case 'n':
            lookups = atoi(optarg);
            break;
        case 'c':
            cancel_ms = atoi(optarg);
            break;
        default:
            with_libc = 1;
        }
    budget_ms = atoi(argv[optind]);
    node = argv[optind + 1];
    family = optind + 2 < argc ? atoi(argv[optind + 2]) : 0;

    pthread_t *ids = calloc((size_t)threads, sizeof *ids);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    int before = count_entries("/proc/self/fd");
    if (stack && pthread_attr_setstacksize(&attr, stack) != 0)
        return 2;
    for (int i = 0; i < threads; i++)
        if (pthread_create(&ids[i], &attr, run, NULL) != 0)
            return 2;
    if (cancel_ms >= 0)
        usleep((useconds_t)cancel_ms * 1000);
    for (int i = 0; i < threads; i++) {
        void *result;
        if (cancel_ms >= 0)
            pthread_cancel(ids[i]);
        pthread_join(ids[i], &result);
        cancelled += result == PTHREAD_CANCELED;
    }
    printf("%d %d %d %d %d %d %d\n", last_code, (int)(longest / ND_MSEC), last_expired, last_count,
           count_entries("/proc/self/fd") - before, count_entries("/proc/self/task"), cancelled);
    free(ids);
}
