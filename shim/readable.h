/* Whether the program's memory can be read, asked before a hook reads what the kernel would have read first: a wild pointer is
 * the kernel's to refuse (EFAULT), not ours to crash on. */
#ifndef ND_READABLE_H
#define ND_READABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define ND_PAGE_SHIFT 12 /* larger pages are asked about in parts */
#define ND_PAGES_KNOWN 64

/* Pages that were readable when they were asked about. */
extern _Atomic uintptr_t nd_pages_known[ND_PAGES_KNOWN] __attribute__((visibility("hidden")));

/* The same for what is not known yet: a system call for each page. */
bool nd_readable_asked(const void *memory, size_t size);

/* True where the `size` bytes at `memory` could be read a while ago: a pointer to what has been unmapped since is taken for
 * good. Size 0 is readable nowhere. Async-signal-safe; keeps errno. */
static inline bool nd_readable(const void *memory, size_t size) {
    uintptr_t page = (uintptr_t)memory >> ND_PAGE_SHIFT;
    if (__builtin_expect(size - 1 <= (size_t) ~(uintptr_t)memory % (1 << ND_PAGE_SHIFT), 1) &&
        __builtin_expect(
            atomic_load_explicit(&nd_pages_known[page % ND_PAGES_KNOWN], memory_order_relaxed) == page && page, 1))
        return true;
    return nd_readable_asked(memory, size);
}

/* Whether `count` buffers, at least one, have no bytes at all, or cannot be read. readv and writev answer to both themselves,
 * whatever the descriptor is: 0, not the wait, the empty datagram or the error of recvmsg and sendmsg; and EFAULT. */
static inline bool nd_vector_is_void(const struct iovec *iov, int count) {
    if (!nd_readable(iov, (size_t)count * sizeof *iov))
        return true;
    for (int i = 0; i < count; i++)
        if (iov[i].iov_len)
            return false;
    return true;
}

#endif
