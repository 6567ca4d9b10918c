/* Puts every program of the host under the library, by /etc/ld.so.preload, and takes it out again. Both return an exit
 * status, having said what they did. */
#pragma once

#include <stdbool.h>

#include "cli/options.h"

/* Without `trial` the line is not tried beforehand; with `force` it is written although something is in the way. */
int enable_system(const struct library *library, const struct options *options, bool trial, bool force);

/* Changes the list before anything else, so that no failure of something else keeps the library in it. */
int disable_system(void);
