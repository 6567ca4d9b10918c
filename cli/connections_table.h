/* The table that `netdeadline ps --connections` shows. */
#pragma once

#include <sys/types.h>

#include "cli/table.h"

/* Fills in the heading. The caller frees *table by table_free. */
void connections_table_start(struct table *table);

/* Adds a row for each connection of the process. Returns 0, or -1 and errno where they may not be seen. */
int connections_table_add(struct table *table, pid_t pid);
