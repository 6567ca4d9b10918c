/* Finds out whether unwinding is safe without using the loader: searches the stack for the kernel's signal frame. */
#include <errno.h>
#include <ucontext.h>

#include "shim/memory.h"
#include "shim/raw.h"
#include "shim/report/backtrace_guard.h"

enum {
    PAGE = 4096,                  /* the smallest page size */
    NEEDED = 64 * 1024,           /* about four times what unwinding takes */
    MOST_STACK = 8 * 1024 * 1024, /* how much of a stack is searched */
    SIGNALS = 64,
    MOST_RETURNS = 4,
    RESTORER_IS_SET = 0x04000000,
};

static bool has_space_below(uintptr_t here) {
    for (uintptr_t down = PAGE; down <= NEEDED; down += PAGE)
        if (!nd_memory_is_there(here - down))
            return false;
    return true;
}

/* The addresses a signal handler returns to. */
struct returns {
    uintptr_t to[MOST_RETURNS];
    int count;
    uintptr_t page; /* the page of the kernel's own code (vDSO), or 0 */
};

static void add_return(struct returns *returns, uintptr_t address) {
    for (int i = 0; i < returns->count; i++)
        if (returns->to[i] == address)
            return;
    if (returns->count < MOST_RETURNS)
        returns->to[returns->count++] = address;
}

/* struct sigaction as the kernel has it. */
struct kernel_sigaction {
    uintptr_t handler;
    unsigned long flags;
    uintptr_t restorer;
    unsigned long mask[8 / sizeof(unsigned long)];
};

/* Most handlers return through the restorer that libc passes with them. That of a one-shot handler is still set while
 * it runs. */
static void find_restorers(struct returns *returns) {
    struct kernel_sigaction action;
    for (int number = 1; number <= SIGNALS; number++) {
        action.restorer = 0;
        long error = ND_RAW6(rt_sigaction, number, NULL, &action, ND_KERNEL_SIGSET_SIZE, 0, 0);
        if (error == 0 && (action.flags & RESTORER_IS_SET) && action.restorer)
            add_return(returns, action.restorer);
    }
}

#ifdef __x86_64__
static bool find_returns(struct returns *returns) {
    find_restorers(returns);
    return true;
}
#else
extern unsigned long getauxval(unsigned long type) __attribute__((weak)); /* glibc 2.16 */

/* On other machines the kernel also lets handlers return through a page of its own (vDSO). */
static bool find_returns(struct returns *returns) {
    enum { AUX_KERNEL_PAGE = 33 };
    find_restorers(returns);
    returns->page = getauxval ? (uintptr_t)getauxval(AUX_KERNEL_PAGE) : 0;
    return returns->page != 0;
}
#endif

static bool is_return(const struct returns *returns, uintptr_t word) {
    if (returns->page && word >= returns->page && word - returns->page < 2 * PAGE)
        return true;
    for (int i = 0; i < returns->count; i++)
        if (word == returns->to[i])
            return true;
    return false;
}

/* A struct sigaction on the program's stack holds the same address (curl has one): in a signal frame registers that the
 * kernel saved must follow. */
#if defined(__x86_64__)
struct signal_frame {
    uintptr_t return_to;
    unsigned long flags; /* from here as in ucontext_t, of which libc's is longer than the kernel's */
    void *link;
    stack_t stack;
    gregset_t registers;
};

static bool is_saved(const struct signal_frame *frame) {
    enum { ALWAYS_SET = 2, USER_CODE = 0x33, FLAGS_KNOWN = 0xff };
    return frame->flags <= FLAGS_KNOWN && !frame->link && (frame->registers[REG_EFL] & ALWAYS_SET) &&
           (frame->registers[REG_CSGSFS] & 0xffff) == USER_CODE;
}
#elif defined(__i386__)
struct signal_frame {
    uintptr_t return_to;
    uintptr_t number;
};

static bool is_saved(const struct signal_frame *frame) {
    return frame->number >= 1 && frame->number <= SIGNALS;
}
#else
struct signal_frame {
    uintptr_t return_to;
};

static bool is_saved(const struct signal_frame *frame) {
    return frame->return_to != 0; /* the address is in the kernel's page, to which nothing else points */
}
#endif

static bool is_signal_frame(uintptr_t at) {
    struct signal_frame frame;
    return nd_memory_copy(&frame, at, sizeof frame) == sizeof frame && is_saved(&frame);
}

/* Searches the stack above `here`, and what follows it in memory, which other threads may unmap at any time: so it
 * copies page by page. Returns false also where the stack cannot be read. */
static bool has_no_return_above(uintptr_t here, const struct returns *returns) {
    uintptr_t words[PAGE / sizeof(uintptr_t)];
    uintptr_t at = here & ~(sizeof(uintptr_t) - 1), end = at + MOST_STACK;
    for (bool is_first = true; at < end; is_first = false) {
        size_t wanted = PAGE - at % PAGE;
        size_t size = nd_memory_copy(words, at, wanted);
        for (size_t i = 0; i < size / sizeof words[0]; i++)
            if (is_return(returns, words[i]) && is_signal_frame(at + i * sizeof words[0]))
                return false;
        if (size < wanted)
            return size > 0 || !is_first;
        at += wanted;
    }
    return true;
}

bool nd_backtrace_is_safe(void) {
    int saved = errno;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    struct returns returns = {.count = 0, .page = 0};
    bool safe = has_space_below(here) && find_returns(&returns) && has_no_return_above(here, &returns);
    errno = saved;
    return safe;
}
