/* Which threads are inside a call that waits, and how long such calls take: what `netdeadline ps`, `top` and `stats` read from
 * outside. Only calls that leave the straight path come here. No lock, no system call but one gettid in a thread's life (and,
 * where slots run out, a look once a second for those of dead threads), and no cache line that two threads write as long as
 * there are no more than ND_SHARDS of them. Everything here is async-signal-safe and keeps errno. */
#ifndef ND_REPORT_SLOTS_H
#define ND_REPORT_SLOTS_H

#include "base/frame.h"
#include "shim/report/slot.h"

/* Called once at start. Makes one system call. */
void nd_slots_start(void);

/* A child of fork. */
void nd_slots_forked(void);

/* Says that this thread begins a call that may wait, in the frame of the function that uses this; `began` may be coarse.
 * `limit` as in struct nd_slot, `name` NULL or what is looked up. A call made by another
 * that has a slot (a read in a TLS operation) begins none. */
#define nd_slot_begin(use, operation, fd, began, deadline, limit)                                                      \
    nd_slot_begin_in(ND_FRAME_SLOT(), use, operation, fd, began, deadline, limit, NULL)
void nd_slot_begin_in(const uintptr_t *frame, struct nd_slot_use *use, enum nd_call operation, int fd, nd_time began,
                      nd_time deadline, unsigned limit, const char *name);

/* Says that the call is over, at `now`. */
void nd_slot_end(struct nd_slot_use *use, enum nd_slot_end how, nd_time now);

/* Counts an expiry that is being reported. */
void nd_slots_count_expiry(const char *operation, bool observed);

#endif
