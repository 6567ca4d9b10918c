/* Whether unwinding is safe here, found out without the loader: by looking for the kernel's signal frame on the stack. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>

#include "shim/backtrace.h"
#include "shim/raw.h"

enum {
    PAGE = 4096,           /* the smallest there is */
    ROOM = 64 * 1024,      /* what unwinding takes, times four or so */
    FAR = 8 * 1024 * 1024, /* how much of a stack is looked through */
    SIGNALS = 64,
    MOST_RETURNS = 4,
};

/* Other readers of memory (process_vm_readv, mincore) are newer or do not tell a guard page. The kernel reads the set
 * before it looks at `how`, and refuses that: nothing changes. */
static bool is_readable(uintptr_t address) {
    enum { NO_SUCH_HOW = 99 };
    ND_RAW6(rt_sigprocmask, NO_SUCH_HOW, address & ~(uintptr_t)(PAGE - 1), NULL, ND_KERNEL_SIGSET_SIZE, 0, 0);
    return errno != EFAULT;
}

static bool has_room_below(uintptr_t here) {
    for (uintptr_t down = PAGE; down <= ROOM; down += PAGE)
        if (!is_readable(here - down))
            return false;
    return true;
}

/* The addresses a signal handler returns to. */
struct returns {
    uintptr_t to[MOST_RETURNS];
    int count;
    uintptr_t page; /* of the kernel's own code, or 0 */
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

/* Most handlers return through the restorer that libc gave with them. A one-shot handler's is still there when it runs. */
static void find_restorers(struct returns *returns) {
    struct kernel_sigaction action;
    for (int number = 1; number <= SIGNALS; number++) {
        action.restorer = 0;
        if (ND_RAW6(rt_sigaction, number, NULL, &action, ND_KERNEL_SIGSET_SIZE, 0, 0) == 0 && action.restorer)
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

/* Elsewhere the kernel also sends handlers home through a page of its own. */
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

/* Reads the stack above `here` word by word; it is no one's business but the thread's own. */
__attribute__((no_sanitize("address"), no_sanitize("thread"))) static bool
is_return_above(uintptr_t here, const struct returns *returns) {
    uintptr_t at = here & ~(sizeof(uintptr_t) - 1);
    for (uintptr_t end = here + FAR; at < end; at += sizeof(uintptr_t)) {
        if (at % PAGE == 0 && !is_readable(at))
            return false;
        if (is_return(returns, *(const uintptr_t *)at))
            return true;
    }
    return false;
}

bool nd_backtrace_is_safe(void) {
    int saved = errno;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    struct returns returns = {.count = 0, .page = 0};
    bool safe = has_room_below(here) && find_returns(&returns) && !is_return_above(here, &returns);
    errno = saved;
    return safe;
}
