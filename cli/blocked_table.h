/* The table that `netdeadline ps` and `top` show. */
#pragma once

#include "cli/process/blocked.h"
#include "cli/table.h"

/* Sorts the list by how long each call has waited, longest first, where `by_time` is set; else by process and
 * thread. */
void blocked_sort(struct blocked_list *list, bool by_time);

/* Fills *table with a heading and one row for each entry; `with_bars` adds how much of each limit's time is used. The
 * caller frees it by table_free. */
void blocked_tabulate(const struct blocked_list *list, bool with_bars, struct table *table);

/* How much of its limit's time the call has used, in ns: all of it where it is overdue, as in MODE=observe. -1 where
 * there is no limit, or it is not known. */
int64_t blocked_used(const struct blocked *entry);
