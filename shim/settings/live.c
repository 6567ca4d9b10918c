#include "shim/settings/live.h"

#include <string.h>

#include "shim/mode.h"
#include "shim/settings/settings.h"

struct nd_live_row nd_live_rows[ND_LIVE_ROWS];
struct nd_live_wish nd_live_wish;
_Atomic uint32_t nd_live_taken;

static nd_live_time *time_at(const struct nd_settings *settings, size_t offset) {
    return (nd_live_time *)((char *)(uintptr_t)settings + offset);
}

static struct nd_limits *limits_at(const struct nd_settings *settings, size_t offset) {
    return (struct nd_limits *)((char *)(uintptr_t)settings + offset);
}

bool nd_live_can_change(const struct nd_setting *setting) {
    return setting->kind == ND_SETTING_TIME || setting->kind == ND_SETTING_RATE || setting->kind == ND_SETTING_MODE;
}

struct nd_live_value nd_live_get(const struct nd_setting *setting, const struct nd_settings *settings) {
    switch (setting->kind) {
    case ND_SETTING_TIME:
        return (struct nd_live_value){*time_at(settings, setting->field), 0};
    case ND_SETTING_RATE:
        return (struct nd_live_value){(int64_t)limits_at(settings, setting->field)->min_rate_bytes,
                                      limits_at(settings, setting->field)->min_rate_window};
    case ND_SETTING_MODE:
        return (struct nd_live_value){settings->mode, 0};
    case ND_SETTING_LOG:
        return (struct nd_live_value){settings->log, 0};
    case ND_SETTING_LOG_FORMAT:
        return (struct nd_live_value){settings->log_format, 0};
    case ND_SETTING_SWITCH:
        return (struct nd_live_value){settings->backtrace, 0};
    default:
        return (struct nd_live_value){0, 0};
    }
}

static void put_rate(struct nd_limits *limits, struct nd_live_value value) {
    limits->min_rate_bytes = 0; /* off, rather than bytes over the old window */
    limits->min_rate_window = value.window;
    limits->min_rate_bytes = (uint64_t)value.value;
}

int nd_live_put(const struct nd_setting *setting, struct nd_live_value value, struct nd_settings *settings) {
    if (value.value < 0 || value.window < 0)
        return -1;
    switch (setting->kind) {
    case ND_SETTING_TIME:
        *time_at(settings, setting->field) = value.value;
        return 0;
    case ND_SETTING_RATE:
        if (value.value && !value.window)
            return -1;
        put_rate(limits_at(settings, setting->field), value);
        return 0;
    case ND_SETTING_MODE:
        if (value.value > ND_MODE_OFF)
            return -1;
        settings->mode = (enum nd_mode)value.value;
        return 0;
    default:
        return -1;
    }
}

static void show(void) {
    for (size_t i = 0; i < nd_setting_count && i < ND_LIVE_ROWS; i++)
        nd_live_rows[i].now = nd_live_get(&nd_setting_table[i], &nd_settings);
}

void nd_live_start(void) {
    for (size_t i = 0; i < nd_setting_count && i < ND_LIVE_ROWS; i++) {
        struct nd_live_row *row = &nd_live_rows[i];
        strncpy(row->name, nd_setting_table[i].name, sizeof row->name - 1);
        row->kind = nd_setting_table[i].kind;
        row->can_change = nd_live_can_change(&nd_setting_table[i]);
    }
    show();
}

/* A wish that could not be meant (the command checks before it writes) changes nothing. */
static bool is_good(const struct nd_live_value *values) {
    static struct nd_settings scratch; /* too large for a small stack; what stands in it does not matter */
    for (size_t i = 0; i < nd_setting_count; i++)
        if (nd_live_can_change(&nd_setting_table[i]) && nd_live_put(&nd_setting_table[i], values[i], &scratch) != 0)
            return false;
    return true;
}

static void apply(const struct nd_live_value *values) {
    const struct nd_live_value none = {0, 0};
    struct nd_settings wanted = {0};
    for (size_t i = 0; i < nd_setting_count; i++)
        if (nd_setting_table[i].kind == ND_SETTING_MODE)
            nd_live_put(&nd_setting_table[i], values[i], &wanted);
    for (size_t i = 0; i < nd_setting_count; i++)
        if (nd_live_can_change(&nd_setting_table[i]) && nd_setting_table[i].kind != ND_SETTING_MODE)
            nd_live_put(&nd_setting_table[i], wanted.mode == ND_MODE_OFF ? none : values[i], &nd_settings);
    nd_settings.mode = wanted.mode;
    nd_observing = wanted.mode == ND_MODE_OBSERVE;
    atomic_fetch_add(&nd_settings_generation, 1);
    show();
}

void nd_live_take(void) {
    struct nd_live_value values[ND_LIVE_ROWS];
    uint32_t taken = atomic_load_explicit(&nd_live_taken, memory_order_relaxed);
    uint32_t sequence = atomic_load_explicit(&nd_live_wish.sequence, memory_order_acquire);
    if (!nd_active || (sequence & 1) || sequence == taken || nd_live_wish.rows != nd_setting_count)
        return;
    memcpy(values, nd_live_wish.value, sizeof values);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&nd_live_wish.sequence, memory_order_relaxed) != sequence)
        return; /* it is being written anew: the next call */
    if (!atomic_compare_exchange_strong(&nd_live_taken, &taken, sequence))
        return; /* another thread, or the call that a signal handler interrupted, is at it */
    if (is_good(values))
        apply(values);
}
