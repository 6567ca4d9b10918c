/* Which threads are in a call that waits, and how long such calls take: what `netdeadline ps`, `top` and `stats` read.
 * Only calls that leave their fast path have a slot. Takes no lock; makes one system call in a thread's life, gettid
 * (two more in the first's, and, when slots run out, searches once a second for those of dead threads). No two threads
 * write to the same cache line as long as there are at most ND_SHARDS of them. All functions are async-signal-safe and
 * keep errno. */
#pragma once

#include <stddef.h>

#include "base/frame.h"
#include "shim/report/slot.h"

/* Notes the number of the process that the slots and the records of sockets are of. The first time it makes one system
 * call. */
void nd_slots_use(uint32_t process);

/* Called in a child after fork. */
void nd_slots_forked(void);

/* Begins a call that may wait, in the frame of the function that uses this; `began` may be a coarse time. `limit` is as
 * in struct nd_slot, `name` what is looked up, or NULL. A call that is part of one with a slot (a read in a TLS
 * operation) must not begin another. */
#define nd_slot_begin(use, operation, fd, began, deadline, limit)                                                      \
    nd_slot_begin_in(ND_FRAME_SLOT(), use, operation, fd, began, deadline, limit, NULL)
void nd_slot_begin_in(const uintptr_t *frame, struct nd_slot_use *use, enum nd_call operation, int fd, nd_time began,
                      nd_time deadline, unsigned limit, const char *name);

/* Another limit, or another time, ends the call. */
void nd_slot_bound(const struct nd_slot_use *use, nd_time deadline, unsigned limit);

/* Ends the call at `now`. */
void nd_slot_end(struct nd_slot_use *use, enum nd_slot_end how, nd_time now);

/* Counts a lookup that gave an answer from before. */
void nd_slots_count_stale(const char *operation);

/* Keeps the greatest number of expiries that one name had in a row. */
void nd_slots_count_in_a_row(enum nd_call operation, uint32_t expiries);

/* Whether the wait that has just failed with EINTR was woken by the command (netdeadline set), not by a signal: the call
 * goes on, under the settings that hold now, which are taken over. */
bool nd_slots_woken(void);

/* Counts an expiry: of the operation, and of the limit of this name ("RECV", "INBOUND_SEND"). */
void nd_slots_count_expiry(const char *operation, bool observed);
void nd_expiries_count(const char *limit, bool observed, struct nd_set_where set);

/* Whether another thread is inside a call on `fd` that sends. A slot that was left by cancellation or a jump does not
 * count: its thread has ended, or its frame is gone. False where that thread had no slot (all were taken). Makes two
 * system calls for a slot that may be one. */
bool nd_slots_sending(int fd);
