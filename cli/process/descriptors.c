#include "cli/process/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct process_descriptor look_at(int directory, const char *name, int fd) {
    static const char socket[] = "socket:[";
    struct process_descriptor found = {.fd = fd};
    char target[32];
    const ssize_t length = readlinkat(directory, name, target, sizeof target - 1);
    target[length > 0 ? length : 0] = '\0';
    if (strncmp(target, socket, sizeof socket - 1) == 0) {
        found.kind = DESCRIPTOR_SOCKET;
        found.inode = (uint32_t)strtoul(target + sizeof socket - 1, NULL, 10);
    } else if (strcmp(target, "anon_inode:[eventpoll]") == 0) {
        found.kind = DESCRIPTOR_EPOLL_SET;
    } else if (strcmp(target, "anon_inode:[io_uring]") == 0) {
        found.kind = DESCRIPTOR_IO_URING;
    }
    return found;
}

struct process_descriptor descriptor_look(pid_t pid, int fd) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
    return look_at(AT_FDCWD, path, fd);
}

int descriptors_each(pid_t pid, bool (*is_known)(int fd, void *arg),
                     bool (*visit)(const struct process_descriptor *descriptor, void *arg), void *arg) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *directory = opendir(path);
    if (!directory)
        return -1;
    bool found = false;
    for (const struct dirent *entry; !found && (entry = readdir(directory));) {
        const int fd = (int)strtol(entry->d_name, NULL, 10);
        if (entry->d_name[0] == '.' || (is_known && is_known(fd, arg)))
            continue;
        const struct process_descriptor descriptor = look_at(dirfd(directory), entry->d_name, fd);
        found = visit(&descriptor, arg);
    }
    closedir(directory);
    return found;
}

void descriptors_in_epoll_set(pid_t pid, int epfd, void (*visit)(int fd, uint32_t events, uint64_t data, void *arg),
                              void *arg) {
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
