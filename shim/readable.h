/* Whether memory of the program can be read. Checked before a hook reads what otherwise the kernel alone would read:
 * the call with a wild pointer must fail with EFAULT, as without the library, instead of crashing in a hook. What could
 * be read once may have been unmapped since: only the stack below which the caller runs, and the program's own data,
 * are known to stay. Everything here is async-signal-safe and keeps errno. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define ND_PAGE_SHIFT 12 /* larger pages are checked in parts */

/* As the functions below, for memory that is not in the page of the caller's frame, which is at `frame`. */
bool nd_readable_on_stack_asked(const void *memory, size_t size, uintptr_t frame);
bool nd_readable_asked(const void *memory, size_t size, uintptr_t frame);

static inline bool nd_is_in_page_of(const void *memory, size_t size, uintptr_t frame) {
    return __builtin_expect(((uintptr_t)memory ^ frame) >> ND_PAGE_SHIFT == 0, 1) &&
           __builtin_expect(size - 1 <= (size_t) ~(uintptr_t)memory % (1 << ND_PAGE_SHIFT), 1);
}

/* Whether the `size` bytes at `memory` are on the stack, not far above the caller's frame, and can be read. Makes a
 * system call the first time that it meets a page. */
static inline bool nd_readable_on_stack(const void *memory, size_t size) {
    char frame;
    return nd_is_in_page_of(memory, size, (uintptr_t)&frame) ||
           nd_readable_on_stack_asked(memory, size, (uintptr_t)&frame);
}

/* Whether the `size` bytes at `memory` can be read. False for a size of 0. Makes a system call for each page that is
 * neither of the stack nor of the program's data. */
static inline bool nd_readable(const void *memory, size_t size) {
    char frame;
    return nd_is_in_page_of(memory, size, (uintptr_t)&frame) || nd_readable_asked(memory, size, (uintptr_t)&frame);
}

/* Whether the `size` bytes at `memory`, 8 to 16 of them, can be written. Overwrites what they hold: for a caller that
 * writes them next. Makes up to two system calls. */
bool nd_writable(void *memory, size_t size);

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
