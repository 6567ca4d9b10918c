/* The table that `netdeadline ps` and `top` show. */
#ifndef CLI_BLOCKED_TABLE_H
#define CLI_BLOCKED_TABLE_H

#include "cli/process/blocked.h"
#include "cli/table.h"

/* Sorts the list by how long each call has waited, longest first, where `by_time` is set; else by process and
 * thread. */
void blocked_sort(struct blocked_list *list, bool by_time);

/* Fills *table with a heading and one row for each entry. The caller frees it by table_free. */
void blocked_tabulate(const struct blocked_list *list, struct table *table);

#endif
