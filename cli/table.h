/* Text in aligned columns. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { TABLE_COLUMNS = 12 };

struct table {
    char **cells; /* row by row */
    size_t count, room;
    int columns;
    unsigned right; /* bit i: column i is aligned to the right */
};

/* Adds a cell; the first row is the heading. An empty text shows as "-". */
void table_add(struct table *table, const char *text);
void table_add_number(struct table *table, uint64_t number);

/* Adds a time in ns as "250ms", "12.3s", "2m05s" or "1h02m", and as "-" where it is less than 0. */
void table_add_time(struct table *table, int64_t time);

/* Prints at most `rows` rows (0: all) of at most `width` characters (0: any). `after`, if not NULL, is called after
 * each row but the heading. */
void table_print(const struct table *table, FILE *to, size_t rows, size_t width, void (*after)(size_t row, void *arg),
                 void *arg);
void table_free(struct table *table);
