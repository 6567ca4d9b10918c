/* Built for musl: lookups in threads with small stacks, and threads that are cancelled in lookups.
 *   stack SIZE NAME   one lookup in a thread with so many bytes; prints its code and how many it has used
 *   cancel COUNT HOW  so many threads, each cancelled in a lookup of a name that no server answers; HOW: "before" the
 *                     lookup, "in" it, or "off": with cancellation disabled. Prints cancelled threads, descriptors more,
 *                     KB more than after the first tenth, and the longest ms from the cancellation to a thread's end */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <netdb.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *name, *how;
static int code = 1;

static int look_up(void) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    int result = getaddrinfo(name, "80", &hints, &list);
    if (result == 0)
        freeaddrinfo(list);
    return result;
}

static void *look_up_once(void *unused) {
    code = look_up();
    return unused;
}

static int measure_stack(size_t size) {
    pthread_attr_t attr;
    pthread_t thread;
    unsigned char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(stack, 0xa5, size);
    pthread_attr_init(&attr);
    if (pthread_attr_setstack(&attr, stack, size) != 0 || pthread_create(&thread, &attr, look_up_once, NULL) != 0)
        return 2;
    pthread_join(thread, NULL);
    size_t unused = 0;
    while (unused < size && stack[unused] == 0xa5)
        unused++;
    printf("%d %zu\n", code, size - unused);
    return 0;
}

static long now_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void wait_ms(int ms) {
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

static int descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (d && readdir(d))
        n++;
    closedir(d);
    return n;
}

static long resident_kb(void) {
    long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld %ld", &size, &resident) != 2)
        resident = -1;
    fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void *look_up_and_be_cancelled(void *unused) {
    if (strcmp(how, "before") == 0)
        wait_ms(0); /* the lookup begins under a cancellation that is pending */
    if (strcmp(how, "off") == 0)
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    look_up();
    return unused;
}

static int cancel(int count) {
    int cancelled = 0, before = descriptors();
    long early = 0, longest = 0;
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        void *result;
        pthread_create(&thread, NULL, look_up_and_be_cancelled, NULL);
        if (strcmp(how, "before") != 0)
            wait_ms(5);
        long began = now_ms();
        pthread_cancel(thread);
        pthread_join(thread, &result);
        longest = now_ms() - began > longest ? now_ms() - began : longest;
        cancelled += result == PTHREAD_CANCELED;
        if (i == count / 10)
            early = resident_kb();
    }
    printf("%d %d %ld %ld\n", cancelled, descriptors() - before, resident_kb() - early, longest);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "stack") == 0) {
        name = argv[3];
        return measure_stack((size_t)atol(argv[2]));
    }
    name = "silent.test";
    how = argv[3];
    return argc == 4 ? cancel(atoi(argv[2])) : 2;
}
