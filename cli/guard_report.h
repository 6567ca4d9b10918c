/* Tells of the connections that guard has ended, in the library's own form and to the same places. */
#pragma once

#include "cli/guard_targets.h"
#include "cli/process/judge.h"

/* Called before anything else is told. */
void guard_report_start(void);

/* Tells of an expiry: `settings` are those of the program. */
void guard_report(const struct nd_settings *settings, const struct guard_target *target, int fd,
                  const struct connection *connection, const struct verdict *verdict, bool observed);
