/* The hosts file: any bytes, and a lookup of a name that is a part of them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/hosts_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1), name[64] = "localhost";
    memcpy(text, data, size);
    text[size] = '\0';
    size_t length = size % (sizeof name - 1);
    if (size > 0)
        memcpy(name, data + size - length, length);
    name[length] = '\0';
    struct nd_hosts_table *table = nd_hosts_table_make(text, size);
    if (table) {
        struct nd_hosts_cursor cursor;
        const struct nd_hosts_line *line;
        size_t sum = 0;
        nd_hosts_table_find(&cursor, table, name);
        while ((line = nd_hosts_table_next(&cursor)) != NULL) {
            const char *p = line->names;
            for (uint32_t i = 0; i < line->name_count; i++)
                sum += strlen(p), p += strlen(p) + 1;
        }
        if (sum > size)
            abort();
    }
    nd_hosts_table_free(table);
    free(text);
    return 0;
}
