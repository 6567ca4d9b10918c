/* The table that `netdeadline ps` and `top` show. */
#ifndef CLI_BLOCKED_TABLE_H
#define CLI_BLOCKED_TABLE_H

#include "cli/process/blocked.h"
#include "cli/table.h"

/* Sorts the list: who waits longest comes first where `by_time`, else by process. */
void blocked_sort(struct blocked_list *list, bool by_time);

/* Fills *table, heading included, one row for each entry. To be freed. */
void blocked_tabulate(const struct blocked_list *list, struct table *table);

#endif
