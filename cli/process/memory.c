#include "cli/process/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Transfers through /proc/PID/mem, for kernels without process_vm_readv (before 3.2) and where a filter forbids it. */
static ssize_t through_file(pid_t pid, uint64_t address, void *bytes, size_t size, bool writing) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int fd = open(path, (writing ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t done = writing ? pwrite64(fd, bytes, size, (off64_t)address) : pread64(fd, bytes, size, (off64_t)address);
    int error = errno;
    close(fd);
    errno = done < 0 && error == EIO ? EFAULT : error;
    return done;
}

static int transfer(pid_t pid, uint64_t address, void *bytes, size_t size, bool writing) {
    struct iovec here = {bytes, size}, there = {(void *)(uintptr_t)address, size};
    if (address > (uint64_t)INT64_MAX - size || (uintptr_t)address != address) {
        errno = EFAULT;
        return -1;
    }
    ssize_t done =
        writing ? process_vm_writev(pid, &here, 1, &there, 1, 0) : process_vm_readv(pid, &here, 1, &there, 1, 0);
    if (done < 0 && (errno == ENOSYS || errno == EPERM))
        done = through_file(pid, address, bytes, size, writing);
    if (done >= 0 && (size_t)done != size)
        errno = EFAULT;
    return done >= 0 && (size_t)done == size ? 0 : -1;
}

int memory_read(pid_t pid, uint64_t address, void *to, size_t size) {
    return transfer(pid, address, to, size, false);
}

int memory_write(pid_t pid, uint64_t address, const void *from, size_t size) {
    return transfer(pid, address, (void *)(uintptr_t)from, size, true);
}

int memory_read_text(pid_t pid, uint64_t address, char *to, size_t size) {
    enum { STEP = 256 }; /* no page is touched before the text goes on into it */
    size_t done = 0;
    to[0] = '\0';
    while (done < size - 1) {
        size_t step = STEP - (address + done) % STEP;
        if (step > size - 1 - done)
            step = size - 1 - done;
        if (memory_read(pid, address + done, to + done, step) != 0) {
            to[done] = '\0';
            return done > 0 ? 0 : -1;
        }
        done += step;
        to[done] = '\0';
        if (strlen(to) < done)
            return 0;
    }
    return 0;
}
