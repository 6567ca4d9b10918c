#include "shim/settings/live.h"

#include <string.h>

#include "base/compiler.h"
#include "shim/mode.h"
#include "shim/settings/setting_value.h"

struct nd_live_row nd_live_rows[ND_LIVE_ROWS] ND_WRITTEN_AT_START;
struct nd_live_wish nd_live_wish;
_Atomic uint32_t nd_live_taken;

bool nd_live_can_change(const struct nd_setting *setting) {
    return nd_setting_is_limit(setting) || setting->kind == ND_SETTING_MODE;
}

static void fill_rows(void) {
    for (size_t i = 0; i < nd_setting_count; i++)
        nd_live_rows[i].now = nd_setting_value_get(&nd_setting_table[i], &nd_settings);
}

void nd_live_start(void) {
    for (size_t i = 0; i < nd_setting_count; i++) {
        struct nd_live_row *row = &nd_live_rows[i];
        memcpy(row->name, nd_setting_table[i].name, sizeof row->name);
        row->kind = nd_setting_table[i].kind;
        row->can_change = nd_live_can_change(&nd_setting_table[i]);
    }
    fill_rows();
}

/* Whether all values are valid. If not (the command checks before it writes), none is applied. */
static bool are_valid(const struct nd_setting_value *values) {
    static struct nd_settings scratch; /* too large for a small stack; its contents do not matter */
    for (size_t i = 0; i < nd_setting_count; i++)
        if (nd_live_can_change(&nd_setting_table[i]) &&
            nd_setting_value_set(&nd_setting_table[i], &scratch, values[i]) != 0)
            return false;
    return true;
}

static void apply(const struct nd_setting_value *values) {
    const struct nd_setting_value off = {0, 0};
    struct nd_settings wanted = {0};
    for (size_t i = 0; i < nd_setting_count; i++)
        if (nd_setting_table[i].kind == ND_SETTING_MODE)
            nd_setting_value_set(&nd_setting_table[i], &wanted, values[i]);
    for (size_t i = 0; i < nd_setting_count; i++)
        if (nd_live_can_change(&nd_setting_table[i]) && nd_setting_table[i].kind != ND_SETTING_MODE)
            nd_setting_value_set(&nd_setting_table[i], &nd_settings, wanted.mode == ND_MODE_OFF ? off : values[i]);
    nd_settings.mode = wanted.mode;
    nd_observing = wanted.mode == ND_MODE_OBSERVE;
    atomic_fetch_add(&nd_settings_generation, 1);
    fill_rows();
}

void nd_live_take(void) {
    struct nd_setting_value values[ND_LIVE_ROWS];
    uint32_t taken = atomic_load_explicit(&nd_live_taken, memory_order_relaxed);
    uint32_t sequence = atomic_load_explicit(&nd_live_wish.sequence, memory_order_acquire);
    if (!nd_active || (sequence & 1) || sequence == taken || nd_live_wish.rows != nd_setting_count)
        return;
    memcpy(values, nd_live_wish.value, sizeof values);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&nd_live_wish.sequence, memory_order_relaxed) != sequence)
        return; /* the command is writing another one: the next call applies that */
    if (!atomic_compare_exchange_strong(&nd_live_taken, &taken, sequence))
        return; /* another thread applies it, or the call that a signal handler has interrupted */
    if (are_valid(values))
        apply(values);
}
