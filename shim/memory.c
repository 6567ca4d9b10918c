#include "shim/memory.h"

#include <errno.h>
#include <sys/uio.h>

#include "shim/raw.h"

size_t nd_memory_copy(void *to, uintptr_t from, size_t size) {
    const struct iovec target = {.iov_base = to, .iov_len = size};
    const struct iovec source = {.iov_base = (void *)from, .iov_len = size};
    long copied = ND_RAW6(process_vm_readv, ND_RAW3(getpid, 0, 0, 0), &target, 1, &source, 1, 0);
    return copied > 0 ? (size_t)copied : 0;
}

/* process_vm_readv does not make a stack grow, a system call that reads the memory does: rt_sigprocmask copies the set
 * before it refuses `how`, and changes nothing. */
bool nd_memory_is_there(uintptr_t address) {
    enum { NO_SUCH_HOW = 99, SET_SIZE = 8 };
    ND_RAW6(rt_sigprocmask, NO_SUCH_HOW, address & ~(uintptr_t)(SET_SIZE - 1), NULL, ND_KERNEL_SIGSET_SIZE, 0, 0);
    return errno != EFAULT;
}
