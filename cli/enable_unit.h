/* Puts one systemd service under the library, by a drop-in, and takes it out again. Both return an exit status, having
 * said what they did. */
#pragma once

#include <stdbool.h>

#include "cli/options.h"

/* With `now` a service that runs is restarted; with `force` it is enabled although something is in the way. */
int enable_unit(const char *name, const struct library *library, const struct options *options, bool now, bool force);
int disable_unit(const char *name, bool now);
