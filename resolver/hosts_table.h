/* A hosts file parsed and indexed by name: a name in a file of 100,000 lines is found without reading all of them. Any
 * input is safe. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct nd_hosts_line {
    const char *names; /* name_count strings one after the other, the line's name first */
    uint32_t name_count;
    int family;
    unsigned char address[16];
};

struct nd_hosts_name {
    uint32_t hash;
    uint32_t line;
    uint32_t next; /* index + 1 of the next name in this bucket, 0 at the end; in the order of the file */
    const char *text;
};

struct nd_hosts_table {
    struct nd_hosts_line *lines;
    size_t line_count;
    struct nd_hosts_name *names;
    size_t name_count;
    uint32_t *buckets;
    uint32_t mask;
    char *text; /* NULL, or freed with the table */
};

struct nd_hosts_cursor {
    const struct nd_hosts_table *table;
    const char *name;
    uint32_t hash, next, last_line;
};

/* Parses `text` (with a NUL after its `size` bytes), which is modified and must outlive the table. NULL: no memory. */
struct nd_hosts_table *nd_hosts_table_make(char *text, size_t size);
void nd_hosts_table_free(struct nd_hosts_table *table);

/* Finds the lines that have `name`, each once, in the order of the file; NULL after the last one. */
void nd_hosts_table_find(struct nd_hosts_cursor *cursor, const struct nd_hosts_table *table, const char *name);
const struct nd_hosts_line *nd_hosts_table_next(struct nd_hosts_cursor *cursor);
