/* What `netdeadline stats` and `set` see of a guard: a state block as the library has it (shim/report/state.h), with the
 * settings that hold where no section of the config file says otherwise, and what guard has ended. */
#pragma once

#include "cli/process/judge.h"
#include "shim/report/expiry_count.h"

/* Shows the block, with these settings. */
void guard_state_start(const struct nd_settings *settings);

/* Forgets what was set. */
void guard_state_forget(void);

/* Takes what `set` has asked for since. Returns whether that has changed anything. */
bool guard_state_take(void);

/* Puts what was set into a program's settings. */
void guard_state_apply(struct nd_settings *settings);

/* Whether `set` has set this one. */
bool guard_state_is_set(const struct nd_setting *setting);

/* Counts an expiry of a limit that was set there. */
void guard_state_count(const struct verdict *verdict, bool observed, struct nd_set_where where);
