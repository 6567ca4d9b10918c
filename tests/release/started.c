/* A program for checked builds (-fsanitize=address or thread) starts, has a thread, looks up a name, and ends well. */
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void *work(void *arg) {
    int ends[2];
    char byte;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && write(ends[0], "x", 1) == 1 && read(ends[1], &byte, 1) == 1)
        *(int *)arg = 1;
    return NULL;
}

int main(void) {
    struct addrinfo *found;
    pthread_t thread;
    int done = 0;
    if (pthread_create(&thread, NULL, work, &done) != 0 || pthread_join(thread, NULL) != 0 || !done)
        return 1;
    if (getaddrinfo("127.0.0.1", "80", NULL, &found) != 0)
        return 1;
    freeaddrinfo(found);
    free(malloc(100));
    return puts("well") < 0;
}
