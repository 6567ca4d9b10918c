/* The value of one setting as text. */
#ifndef ND_SETTINGS_SETTING_VALUE_H
#define ND_SETTINGS_SETTING_VALUE_H

#include "base/line.h"
#include "shim/settings/settings.h"

/* Reads `value` into *settings. Returns 0, or -1 with *settings as it was. Async-signal-safe. */
int nd_setting_read(const struct nd_setting *setting, const char *value, struct nd_settings *settings);

/* Writes the value that *settings holds, in the form nd_setting_read takes. Async-signal-safe. */
void nd_setting_put(const struct nd_setting *setting, const struct nd_settings *settings, struct nd_line *line);

/* What a value of this kind must be: "a duration such as 250ms, 3s or 1m30s, or off". */
const char *nd_setting_expects(enum nd_setting_kind kind);

#endif
