/* Whether unwinding is safe here, found out without the loader: by looking for the kernel's signal frame on the stack. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

#include "shim/backtrace.h"
#include "shim/raw.h"

enum {
    PAGE = 4096,           /* the smallest there is */
    ROOM = 64 * 1024,      /* what unwinding takes, times four or so */
    FAR = 8 * 1024 * 1024, /* how much of a stack is looked through */
    SIGNALS = 64,
    MOST_RETURNS = 4,
    RESTORER_IS_SET = 0x04000000,
};

/* Other readers of memory (process_vm_readv, mincore) are newer or do not tell a guard page. The kernel reads the set
 * before it looks at `how`, and refuses that: nothing changes. */
bool nd_is_readable(uintptr_t address) {
    enum { NO_SUCH_HOW = 99 };
    ND_RAW6(rt_sigprocmask, NO_SUCH_HOW, address & ~(uintptr_t)(PAGE - 1), NULL, ND_KERNEL_SIGSET_SIZE, 0, 0);
    return errno != EFAULT;
}

static bool has_room_below(uintptr_t here) {
    for (uintptr_t down = PAGE; down <= ROOM; down += PAGE)
        if (!nd_is_readable(here - down))
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

/* A struct sigaction that the program keeps on its stack holds the same address (curl's does): what follows must be what the
 * kernel saved. The whole of it is readable where its last byte is. */
#if defined(__x86_64__)
struct signal_frame {
    uintptr_t return_to;
    unsigned long flags; /* from here as in ucontext_t, of which libc's is longer than the kernel's */
    void *link;
    stack_t stack;
    gregset_t registers;
};

__attribute__((no_sanitize("address"), no_sanitize("thread"))) static bool is_saved(const struct signal_frame *frame) {
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
    return frame->return_to != 0; /* the address lies in the kernel's page, which nothing else points into */
}
#endif

static bool is_signal_frame(uintptr_t at) {
    return nd_is_readable(at + sizeof(struct signal_frame) - 1) && is_saved((const struct signal_frame *)at);
}

/* Reads the stack above `here` word by word; it is no one's business but the thread's own. */
__attribute__((no_sanitize("address"), no_sanitize("thread"))) static bool
is_return_above(uintptr_t here, const struct returns *returns) {
    uintptr_t at = here & ~(sizeof(uintptr_t) - 1);
    for (uintptr_t end = here + FAR; at < end; at += sizeof(uintptr_t)) {
        if (at % PAGE == 0 && !nd_is_readable(at))
            return false;
        if (is_return(returns, *(const uintptr_t *)at) && is_signal_frame(at))
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
