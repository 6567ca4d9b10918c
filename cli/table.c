#include "cli/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/process/array.h"

void table_add(struct table *table, const char *text) {
    if (!array_grow(&table->cells, table->count, &table->room, sizeof(char *), 128))
        return;
    char *copy = strdup(text[0] ? text : "-");
    if (copy)
        table->cells[table->count++] = copy;
}

void table_add_number(struct table *table, uint64_t number) {
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, number);
    table_add(table, text);
}

void table_add_time(struct table *table, int64_t time) {
    char text[48];
    int64_t ms = time / 1000000, seconds = ms / 1000;
    if (time < 0)
        text[0] = '\0';
    else if (seconds < 1)
        snprintf(text, sizeof text, "%" PRId64 "ms", ms);
    else if (seconds < 60)
        snprintf(text, sizeof text, "%" PRId64 ".%" PRId64 "s", seconds, ms % 1000 / 100);
    else if (seconds < 3600)
        snprintf(text, sizeof text, "%" PRId64 "m%02" PRId64 "s", seconds / 60, seconds % 60);
    else
        snprintf(text, sizeof text, "%" PRId64 "h%02" PRId64 "m", seconds / 3600, seconds % 3600 / 60);
    table_add(table, text);
}

static void print_row(const struct table *table, const size_t *widths, size_t row, FILE *to, size_t width) {
    char *cells = NULL;
    size_t length = 0;
    FILE *text = open_memstream(&cells, &length);
    if (!text)
        return;
    for (int i = 0; i < table->columns; i++) {
        const char *cell = table->cells[row * (size_t)table->columns + (size_t)i];
        int room = i == table->columns - 1 && !(table->right >> i & 1) ? 0 : (int)widths[i];
        fprintf(text, "%s%*s", i ? "  " : "", table->right >> i & 1 ? room : -room, cell);
    }
    fclose(text);
    while (length > 0 && cells[length - 1] == ' ')
        length--;
    fprintf(to, "%.*s\n", (int)(width && length > width ? width : length), cells);
    free(cells);
}

void table_print(const struct table *table, FILE *to, size_t rows, size_t width, void (*after)(size_t row, void *arg),
                 void *arg) {
    size_t widths[TABLE_COLUMNS] = {0}, columns = (size_t)table->columns, all = table->count / columns;
    for (size_t i = 0; i < all * columns; i++) {
        size_t length = strlen(table->cells[i]);
        if (length > widths[i % columns])
            widths[i % columns] = length;
    }
    for (size_t row = 0; row < all && (rows == 0 || row < rows); row++) {
        print_row(table, widths, row, to, width);
        if (after && row > 0)
            after(row - 1, arg);
    }
}

void table_free(struct table *table) {
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    table->cells = NULL;
    table->count = table->room = 0;
}
