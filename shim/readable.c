#include "shim/readable.h"

#include <errno.h>
#include <linux/futex.h>

#include "shim/raw.h"

_Atomic uintptr_t nd_pages_known[ND_PAGES_KNOWN];

/* A futex's word is read, and compared, before its timeout of 0 is over: EFAULT tells that it cannot be read. The call is
 * one that every filter allows, and valgrind takes it for what it is: it looks at no more than the four bytes, which are
 * the program's own argument. `address` is in the page that is asked about. */
static bool is_readable_at(uintptr_t address) {
    enum { UNLIKELY = 0x7ead4b1e };
    const struct timespec now = {0, 0};
    const uintptr_t word = address & ~(uintptr_t)3;
    return ND_RAW6(futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, UNLIKELY, &now, 0, 0) == 0 || errno != EFAULT;
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
        readable = is_readable_at(page == first >> ND_PAGE_SHIFT ? first : page << ND_PAGE_SHIFT);
        if (readable)
            atomic_store_explicit(known, page, memory_order_relaxed);
    }
    errno = saved;
    return readable;
}
