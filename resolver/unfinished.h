/* Lookups that wait, which a program may leave by siglongjmp from a signal handler, as it does to bound them itself.
 * What such a lookup holds is released when its thread begins the next one. While a lookup waits, the thread's cancel
 * state and signal mask are the program's own; else cancellation is disabled and signals are blocked, since they would
 * leave behind what c-ares holds. */
#pragma once

#include <stdbool.h>

#include "base/frame.h"
#include "resolver/resolver.h"

struct nd_unfinished;

/* Something that a lookup holds; part of an object on the heap, as the frames of the lookup are gone after a jump. */
struct nd_held {
    void (*release)(struct nd_held *); /* called where the lookup was left while it waited; frees the object */
    /* internal */
    struct nd_held *next, **link;
};

/* Begins a lookup in the frame of the function that uses this, and releases what this thread has left before. A lookup
 * that a signal handler has interrupted is not touched. Returns NULL where there is no memory: then nothing is
 * remembered, and cancellation stays as it is. Keeps errno. */
#define nd_unfinished_begin(lookup) nd_unfinished_begin_in(ND_FRAME_SLOT(), lookup)
struct nd_unfinished *nd_unfinished_begin_in(const uintptr_t *frame, struct nd_lookup *lookup);
void nd_unfinished_end(struct nd_unfinished *unfinished);

/* Where the lookup is left by a jump, `release(object)` is called in place of those who would have done so: a reference
 * of the frames that are gone. One for each lookup. */
void nd_unfinished_own(struct nd_unfinished *unfinished, void (*release)(void *), void *object);

/* The program's cancel state. */
int nd_unfinished_cancel_state(const struct nd_unfinished *unfinished);

/* Registers `held` with the lookup that this thread has begun last, until nd_drop. */
void nd_hold(struct nd_held *held);
void nd_drop(struct nd_held *held);

/* Around a system call that waits and is no cancellation point. */
void nd_unfinished_wait_begin(struct nd_unfinished *unfinished);
void nd_unfinished_wait_end(struct nd_unfinished *unfinished);
