#include "shim/readable.h"

#include <errno.h>

#include "shim/raw.h"

_Atomic uintptr_t nd_pages_known[ND_PAGES_KNOWN];

/* rt_sigprocmask reads the set before it refuses `how`: EFAULT tells that the memory cannot be read. */
#define NO_SUCH_HOW 9999

static bool is_page_readable(uintptr_t address) {
    address &= ~(uintptr_t)(ND_KERNEL_SIGSET_SIZE - 1);
    return ND_RAW6(rt_sigprocmask, NO_SUCH_HOW, address, 0, ND_KERNEL_SIGSET_SIZE, 0, 0) == 0 || errno != EFAULT;
}

bool nd_readable_asked(const void *memory, size_t size) {
    uintptr_t first = (uintptr_t)memory, last = first + size - 1;
    if (size == 0 || last < first || first >> ND_PAGE_SHIFT == 0)
        return false;
    int saved = errno;
    bool readable = true;
    for (uintptr_t page = first >> ND_PAGE_SHIFT; readable && page <= last >> ND_PAGE_SHIFT; page++) {
        _Atomic uintptr_t *known = &nd_pages_known[page % ND_PAGES_KNOWN];
        if (atomic_load_explicit(known, memory_order_relaxed) == page)
            continue;
        readable = is_page_readable(page << ND_PAGE_SHIFT);
        if (readable)
            atomic_store_explicit(known, page, memory_order_relaxed);
    }
    errno = saved;
    return readable;
}
