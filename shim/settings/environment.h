/* The settings that the environment holds, over the defaults. */
#ifndef ND_SETTINGS_ENVIRONMENT_H
#define ND_SETTINGS_ENVIRONMENT_H

#include <stdint.h>

#include "shim/settings/settings.h"

/* Fills *settings with the defaults of nd_setting_table. Async-signal-safe. */
void nd_settings_defaults(struct nd_settings *settings);

/* Reads every NETDEADLINE_X of `environment` (environ's form) over what *settings holds. For each name it does not know
 * and each value it cannot read, calls complain(text, arg) with one line without newline that names the variable, the
 * value (shortened, escaped) and what is used instead; the value in *settings is then left. Of a name that stands there
 * twice the first counts, as with getenv. Returns a bit for each row of the table that was read. Allocates nothing. */
uint64_t nd_settings_from_environment(struct nd_settings *settings, char *const *environment,
                                      void (*complain)(const char *text, void *arg), void *arg);

/* The value of NETDEADLINE_`name` in `environment`, or NULL. Async-signal-safe. */
const char *nd_settings_variable(char *const *environment, const char *name);

#endif
