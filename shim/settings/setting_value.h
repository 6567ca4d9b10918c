/* The value of one setting: as numbers, and as text. */
#pragma once

#include "base/line.h"
#include "shim/settings/settings.h"

/* The value that *settings holds; 0 and 0 for text. Each number is whole, also while another thread writes it.
 * Async-signal-safe. */
struct nd_setting_value nd_setting_value_get(const struct nd_setting *setting, const struct nd_settings *settings);

/* Puts such a value of a limit or of MODE into *settings, of no other setting; a follower keeps its own. Other threads
 * may read meanwhile: they see a rate as off while its two numbers change. Returns 0, or -1 with *settings as it was.
 * Async-signal-safe. */
int nd_setting_value_set(const struct nd_setting *setting, struct nd_settings *settings, struct nd_setting_value value);

/* Parses `value` into *settings. Returns 0, or -1 with *settings unchanged. Async-signal-safe. */
int nd_setting_read(const struct nd_setting *setting, const char *value, struct nd_settings *settings);

/* Appends the value that *settings holds, in the form that nd_setting_read parses. Async-signal-safe. */
void nd_setting_put(const struct nd_setting *setting, const struct nd_settings *settings, struct nd_line *line);

/* What a value of this kind must be, for a warning: "a duration such as 250ms, 3s or 1m30s, or off". */
const char *nd_setting_expects(enum nd_setting_kind kind);
