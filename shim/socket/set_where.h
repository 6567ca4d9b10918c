/* Where the settings that hold for a connection or a lookup were set. */
#pragma once

#include "shim/report/expiry_count.h"
#include "shim/settings/rules.h"

/* Where the setting was set that holds under these of the rules, unless `netdeadline set` has changed it since. */
struct nd_set_where nd_set_where(const struct nd_rules *rules, const struct nd_rule_set *set,
                                 const struct nd_setting *setting);
