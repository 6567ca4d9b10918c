#include "cli/guard_state.h"

#include <string.h>

#include "base/compiler.h"
#include "shim/mode.h"
#include "shim/report/slots.h"
#include "shim/report/slots_fast.h"
#include "shim/report/state.h"
#include "shim/settings/setting_value.h"

/* The command makes the next call on each socket leave the library's fast path: guard has no such calls. */
static unsigned char watch[1];

struct nd_state netdeadline_state ND_EXPORT;
struct nd_state netdeadline_state = {ND_STATE_FIELDS(watch)};

/* What the rows of settings were when they were looked at last, but while MODE was off, when all limits are shown as 0;
 * and which have been set since the start. */
static struct nd_setting_value last[ND_LIVE_ROWS];
static bool is_set[ND_LIVE_ROWS];
static uint32_t generation;

void guard_state_start(const struct nd_settings *settings) {
    nd_settings_copy_live(&nd_settings, settings);
    nd_live_start();
    atomic_store(&nd_live_taken, atomic_load(&nd_live_wish.sequence));
    for (size_t i = 0; i < nd_setting_count; i++)
        last[i] = nd_live_rows[i].now;
    generation = nd_settings_generation;
    nd_active = true;
    netdeadline_state.active = true;
}

/* The command builds on its last request, as long as there has been one. */
void guard_state_forget(void) {
    memset(is_set, 0, sizeof is_set);
    atomic_store(&nd_live_wish.sequence, 0);
}

bool guard_state_take(void) {
    nd_live_check();
    if (generation == nd_settings_generation)
        return false;
    generation = nd_settings_generation;
    for (size_t i = 0; i < nd_setting_count; i++) {
        const struct nd_setting_value now = nd_live_rows[i].now;
        const bool is_shown = nd_settings.mode != ND_MODE_OFF || nd_setting_table[i].kind == ND_SETTING_MODE;
        if (is_shown && (now.value != last[i].value || now.window != last[i].window)) {
            last[i] = now;
            is_set[i] = true;
        }
    }
    return true;
}

void guard_state_apply(struct nd_settings *settings) {
    for (size_t i = 0; i < nd_setting_count; i++)
        if (is_set[i])
            nd_setting_value_set(&nd_setting_table[i], settings, last[i]);
}

bool guard_state_is_set(const struct nd_setting *setting) {
    return is_set[setting - nd_setting_table];
}

/* The operation's whole wait is counted as its longest, and as nothing else: what ends by itself is not seen. */
void guard_state_count(const struct verdict *verdict, bool observed, struct nd_set_where where) {
    const char *operation = judge_operation(verdict->limit);
    nd_slots_count_expiry(operation, observed);
    nd_expiries_count(judge_limit_name(verdict->limit), observed, where);
    nd_slot_count(&nd_slots.counters[0][nd_operation_find(operation)], ND_SLOT_EXPIRED, (uint64_t)verdict->elapsed);
}
