/* Whether memory of the program can be read. Checked before a hook reads what otherwise the kernel alone would read:
 * the call with a wild pointer must fail with EFAULT, as without the library, instead of crashing in a hook. */
#ifndef ND_READABLE_H
#define ND_READABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define ND_PAGE_SHIFT 12 /* larger pages are checked in parts */
#define ND_PAGES_KNOWN 64

/* Numbers of pages that were readable when they were checked. */
extern _Atomic uintptr_t nd_pages_known[ND_PAGES_KNOWN] __attribute__((visibility("hidden")));

/* As nd_readable, for pages that nd_pages_known does not hold: makes a system call for each of them. */
bool nd_readable_asked(const void *memory, size_t size);

/* Whether the `size` bytes at `memory` can be read, or could when they were checked: memory that was unmapped since
 * counts as readable. False for a size of 0. Async-signal-safe; keeps errno. */
static inline bool nd_readable(const void *memory, size_t size) {
    uintptr_t page = (uintptr_t)memory >> ND_PAGE_SHIFT;
    if (__builtin_expect(size - 1 <= (size_t) ~(uintptr_t)memory % (1 << ND_PAGE_SHIFT), 1) &&
        __builtin_expect(
            atomic_load_explicit(&nd_pages_known[page % ND_PAGES_KNOWN], memory_order_relaxed) == page && page, 1))
        return true;
    return nd_readable_asked(memory, size);
}

/* Whether the array of `count` buffers (at least one) cannot be read, or all of them are empty. In both cases readv and
 * writev return at once, with EFAULT or 0, where recvmsg and sendmsg would wait, transfer an empty datagram or fail. */
static inline bool nd_vector_is_void(const struct iovec *iov, int count) {
    if (!nd_readable(iov, (size_t)count * sizeof *iov))
        return true;
    for (int i = 0; i < count; i++)
        if (iov[i].iov_len)
            return false;
    return true;
}

#endif
