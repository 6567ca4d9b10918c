/* Settings while the program runs: read from outside by the command, and changed by `netdeadline set`. The command
 * writes a request (the "wish") into this memory and makes the next call on each socket leave its fast path; that call
 * applies the request. So only the process itself writes nd_settings, each field whole. All functions are
 * async-signal-safe. */
#pragma once

#include "shim/settings/settings.h"

/* A setting in force, as read from outside. */
struct nd_live_row {
    char name[24];
    uint32_t kind; /* enum nd_setting_kind */
    uint32_t can_change;
    struct nd_setting_value now;
};

/* What the command requests. Only the command writes it. */
struct nd_live_wish {
    _Atomic uint32_t sequence; /* odd while the command writes; 0: it never has */
    uint32_t rows;
    struct nd_setting_value value[ND_LIVE_ROWS];
};

_Static_assert(sizeof(struct nd_setting_value) == 16 && sizeof(struct nd_live_row) == 48, "known outside");
_Static_assert(sizeof(struct nd_live_wish) == 8 + ND_LIVE_ROWS * sizeof(struct nd_setting_value), "known outside");

extern struct nd_live_row nd_live_rows[ND_LIVE_ROWS];
extern struct nd_live_wish nd_live_wish;

/* The sequence of the request that was handled last: applied, or refused as invalid. */
extern _Atomic uint32_t nd_live_taken;

/* Fills nd_live_rows. Called once at start. */
void nd_live_start(void);

/* Applies the command's request if it is new: sets nd_settings and nd_observing, and then changes
 * nd_settings_generation. MODE=off sets every limit to 0. Keeps errno. */
void nd_live_take(void);

/* The same, for the beginning of a call that has left its fast path: costs two loads where there is no new request. */
static inline void nd_live_check(void) {
    if (__builtin_expect(atomic_load_explicit(&nd_live_wish.sequence, memory_order_relaxed) !=
                             atomic_load_explicit(&nd_live_taken, memory_order_relaxed),
                         0))
        nd_live_take();
}

/* Whether `netdeadline set` can change this setting: the limits and MODE. */
bool nd_live_can_change(const struct nd_setting *setting);
