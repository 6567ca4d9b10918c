#include "cli/process/epoll_sets.h"

#include <inttypes.h>
#include <stdio.h>

void epoll_set_each(pid_t pid, int epfd, void (*visit)(int fd, uint32_t events, uint64_t data, void *arg), void *arg) {
    char path[64], line[256];
    uint64_t data;
    unsigned events;
    int fd;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)pid, epfd);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "tfd: %d events: %x data: %" SCNx64, &fd, &events, &data) == 3)
            visit(fd, events, data, arg);
    if (file)
        fclose(file);
}
