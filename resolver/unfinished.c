#include "resolver/unfinished.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#pragma weak pthread_setcancelstate /* NULL in a program without libpthread (glibc < 2.34) */

struct nd_unfinished {
    const uintptr_t *frame;
    uintptr_t return_to;
    struct nd_unfinished *outer; /* that of a lookup which a signal handler has interrupted */
    struct nd_held *held;
    void (*release)(void *object);
    void *object;
    struct nd_lookup *lookup; /* in the frames that a jump leaves */
    int cancel_state;         /* the program's */
    bool waits;
};

/* The innermost one of this thread. */
static __thread struct nd_unfinished *innermost;

static int set_cancel_state(int state) {
    int old = PTHREAD_CANCEL_ENABLE;
    if (pthread_setcancelstate)
        pthread_setcancelstate(state, &old);
    return old;
}

/* A fault ends the process where its signal is blocked, and SIGSYS is how a filter emulates a call. The two signals
 * that the C library itself sends to threads, 32 and 33 (musl: to 34), are not blocked by it either. */
#define SIGNAL(number) (1ull << ((number)-1))
#define NEVER_BLOCKED                                                                                                  \
    (SIGNAL(SIGSEGV) | SIGNAL(SIGBUS) | SIGNAL(SIGFPE) | SIGNAL(SIGILL) | SIGNAL(SIGTRAP) | SIGNAL(SIGABRT) |          \
     SIGNAL(SIGSYS) | SIGNAL(32) | SIGNAL(33) | SIGNAL(34))

static bool change_mask(int how, uint64_t set, uint64_t *old) {
    int saved = errno;
    bool changed = syscall(SYS_rt_sigprocmask, how, &set, old, sizeof set) == 0;
    errno = saved;
    return changed;
}

void nd_signals_block(struct nd_lookup *lookup) {
    if (!lookup->blocks_signals)
        lookup->blocks_signals = change_mask(SIG_BLOCK, ~NEVER_BLOCKED, &lookup->signals);
}

void nd_signals_restore(struct nd_lookup *lookup) {
    if (!lookup->blocks_signals)
        return;
    lookup->blocks_signals = false;
    change_mask(SIG_SETMASK, lookup->signals, NULL);
}

/* The kernel reads the frame, which may be on a stack that has been unmapped since. Where it cannot tell, the frame
 * counts as standing. */
static bool stands(const struct nd_unfinished *u) {
    uintptr_t word = 0;
    struct iovec to = {&word, sizeof word}, from = {(void *)(uintptr_t)u->frame, sizeof word};
    long n = syscall(SYS_process_vm_readv, getpid(), &to, 1ul, &from, 1ul, 0ul);
    return n < 0 ? errno != EFAULT : word == u->return_to;
}

static bool is_on(const stack_t *stack, const uintptr_t *frame) {
    return !(stack->ss_flags & SS_DISABLE) && (uintptr_t)frame - (uintptr_t)stack->ss_sp < stack->ss_size;
}

/* Whether the lookup is still under way while its thread is at `here`: in a handler, which runs further down on the
 * same stack, or on the alternate one. */
static bool is_under_way(const struct nd_unfinished *u, const uintptr_t *here) {
    stack_t alternate;
    if (sigaltstack(NULL, &alternate) != 0)
        alternate.ss_flags = SS_DISABLE;
    bool here_on_it = is_on(&alternate, here), there_on_it = is_on(&alternate, u->frame);
    if (here_on_it == there_on_it ? u->frame <= here : there_on_it)
        return false;
    return stands(u);
}

/* The innermost one was left by a jump. Where it did not wait (signals could not be blocked), what it holds may be
 * half changed, and is not touched. */
static void release_innermost(void) {
    struct nd_unfinished *left = innermost;
    innermost = left->outer;
    if (!left->waits) {
        set_cancel_state(left->cancel_state);
        return;
    }
    for (struct nd_held *held; (held = left->held) != NULL;) {
        nd_drop(held);
        held->release(held);
    }
    if (left->release)
        left->release(left->object);
    free(left);
}

struct nd_unfinished *nd_unfinished_begin_in(const uintptr_t *frame, struct nd_lookup *lookup) {
    int saved = errno;
    nd_signals_block(lookup);
    while (innermost && !is_under_way(innermost, frame))
        release_innermost();
    struct nd_unfinished *u = malloc(sizeof *u);
    if (u) {
        *u = (struct nd_unfinished){.frame = frame, .return_to = *frame, .outer = innermost, .lookup = lookup};
        u->cancel_state = set_cancel_state(PTHREAD_CANCEL_DISABLE);
        innermost = u;
    }
    errno = saved;
    return u;
}

void nd_unfinished_end(struct nd_unfinished *u) {
    int saved = errno;
    if (!u)
        return;
    while (innermost && innermost != u) /* lookups of a handler, which was left for a frame of this one */
        release_innermost();
    innermost = u->outer;
    while (u->held)
        nd_drop(u->held);
    set_cancel_state(u->cancel_state);
    free(u);
    errno = saved;
}

void nd_unfinished_own(struct nd_unfinished *u, void (*release)(void *), void *object) {
    if (!u)
        return;
    u->release = release;
    u->object = object;
}

int nd_unfinished_cancel_state(const struct nd_unfinished *u) {
    return u->cancel_state;
}

void nd_hold(struct nd_held *held) {
    held->next = NULL;
    held->link = NULL;
    if (!innermost)
        return;
    held->next = innermost->held;
    held->link = &innermost->held;
    if (held->next)
        held->next->link = &held->next;
    innermost->held = held;
}

void nd_drop(struct nd_held *held) {
    if (!held->link)
        return;
    *held->link = held->next;
    if (held->next)
        held->next->link = held->link;
    held->link = NULL;
}

void nd_unfinished_wait_begin(struct nd_unfinished *u) {
    if (!u)
        return;
    u->waits = true;
    set_cancel_state(u->cancel_state);
    nd_signals_restore(u->lookup);
}

void nd_unfinished_wait_end(struct nd_unfinished *u) {
    if (!u)
        return;
    nd_signals_block(u->lookup);
    set_cancel_state(PTHREAD_CANCEL_DISABLE);
    u->waits = false;
}
