/* Reads settings from the environment. */
#pragma once

#include "shim/settings/settings.h"

/* Fills *settings with the defaults of nd_setting_table. Async-signal-safe. */
void nd_settings_defaults(struct nd_settings *settings);

/* Lets every NETDEADLINE_X of `environment` (in the form of environ) replace what *settings holds. For each unknown
 * name and each value that is not valid, calls warn(text, arg) with one line without newline that names the variable,
 * its value (shortened, escaped) and the value that stays in force. Of two variables of the same name the first counts,
 * as with getenv. Returns a bit for each row of the table that was set. Allocates nothing. */
uint64_t nd_settings_from_environment(struct nd_settings *settings, char *const *environment,
                                      void (*warn)(const char *text, void *arg), void *arg);

/* The value of NETDEADLINE_`name` in `environment`, or NULL. Async-signal-safe. */
const char *nd_settings_variable(char *const *environment, const char *name);
