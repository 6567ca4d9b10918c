#include "shim/readable.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/auxv.h>

#include "shim/raw.h"

/* Pages of stacks that were readable when they were checked. They are believed only as long as a frame stands close
 * below them. */
#define PAGES_KNOWN 64
#define PAGES_ABOVE 16
static _Atomic uintptr_t pages_known[PAGES_KNOWN];

/* A futex's word is read, and compared, before its timeout of 0 is over: EFAULT tells that it cannot be read. The call
 * is one that every filter allows, and valgrind takes it for what it is: it looks at no more than the four bytes, which
 * are the program's own argument. */
static bool is_readable_at(uintptr_t address) {
    enum { UNLIKELY = 0x7ead4b1e };
    const struct timespec now = {0, 0};
    const uintptr_t word = address & ~(uintptr_t)3;
    return ND_RAW6(futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, UNLIKELY, &now, 0, 0) == 0 || errno != EFAULT;
}

static bool is_stack_readable_at(uintptr_t address) {
    const uintptr_t page = address >> ND_PAGE_SHIFT;
    _Atomic uintptr_t *known = &pages_known[page % PAGES_KNOWN];
    if (atomic_load_explicit(known, memory_order_relaxed) == page)
        return true;
    if (!is_readable_at(address))
        return false;
    atomic_store_explicit(known, page, memory_order_relaxed);
    return true;
}

/* Where in a page of the memory that begins at `first` to look: in the memory itself. */
static uintptr_t address_in(uintptr_t page, uintptr_t first) {
    return page == first >> ND_PAGE_SHIFT ? first : page << ND_PAGE_SHIFT;
}

/* The last byte of the memory; 0 if there is none, or it is no memory of a program. */
static uintptr_t end_of(uintptr_t first, size_t size) {
    const uintptr_t last = first + size - 1;
    return size == 0 || last < first || first >> ND_PAGE_SHIFT == 0 ? 0 : last;
}

bool nd_readable_on_stack_asked(const void *memory, size_t size, uintptr_t frame) {
    const uintptr_t first = (uintptr_t)memory, last = end_of(first, size), lowest = frame >> ND_PAGE_SHIFT;
    if (!last || first < frame || (last >> ND_PAGE_SHIFT) - lowest > PAGES_ABOVE)
        return false;
    const int saved = errno;
    bool readable = true;
    for (uintptr_t page = first >> ND_PAGE_SHIFT; readable && page <= last >> ND_PAGE_SHIFT; page++)
        readable = page == lowest || is_stack_readable_at(address_in(page, first));
    errno = saved;
    return readable;
}

/* Whether the memory is in the program's own data, which are never unmapped. */
static bool is_in_program(uintptr_t first, uintptr_t last) {
    const ElfW(Phdr) *header = (const ElfW(Phdr) *)getauxval(AT_PHDR), *const headers = header;
    const ElfW(Phdr) *const end = header + (header ? getauxval(AT_PHNUM) : 0);
    uintptr_t base = 0;
    for (; header < end; header++) {
        if (header->p_type == PT_PHDR)
            base = (uintptr_t)headers - header->p_vaddr;
        if (header->p_type == PT_LOAD && (header->p_flags & PF_W) && first >= base + header->p_vaddr &&
            last < base + header->p_vaddr + header->p_memsz)
            return true;
    }
    return false;
}

bool nd_readable_asked(const void *memory, size_t size, uintptr_t frame) {
    const uintptr_t first = (uintptr_t)memory, last = end_of(first, size);
    if (!last)
        return false;
    if (nd_readable_on_stack_asked(memory, size, frame) || is_in_program(first, last))
        return true;
    const int saved = errno;
    bool readable = true;
    for (uintptr_t page = first >> ND_PAGE_SHIFT; readable && page <= last >> ND_PAGE_SHIFT; page++)
        readable = is_readable_at(address_in(page, first));
    errno = saved;
    return readable;
}

static bool is_writable(uintptr_t address) {
    return ND_RAW6(rt_sigprocmask, 0, 0, address, ND_KERNEL_SIGSET_SIZE, 0, 0) == 0;
}

bool nd_writable(void *memory, size_t size) {
    const uintptr_t first = (uintptr_t)memory, last = end_of(first, size);
    const int saved = errno;
    const bool writable =
        last && is_writable(first) && (size <= ND_KERNEL_SIGSET_SIZE || is_writable(last + 1 - ND_KERNEL_SIGSET_SIZE));
    errno = saved;
    return writable;
}
