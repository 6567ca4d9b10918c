#include "cli/blocked_table.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/line.h"
#include "cli/terminal.h"

enum { USED_COLUMNS = 10 };

static int by_process(const void *a, const void *b) {
    const struct blocked *x = a, *y = b;
    if (x->pid != y->pid)
        return x->pid < y->pid ? -1 : 1;
    return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static int by_waiting(const void *a, const void *b) {
    const struct blocked *x = a, *y = b;
    if (x->waiting != y->waiting)
        return x->waiting > y->waiting ? -1 : 1;
    return by_process(a, b);
}

void blocked_sort(struct blocked_list *list, bool by_time) {
    if (list->count > 0)
        qsort(list->entries, list->count, sizeof *list->entries, by_time ? by_waiting : by_process);
}

/* Adds the cell of the limit: "RECV=30s", "CONNECT (observed)", "no library". */
static void add_limit(struct table *table, const struct blocked *entry) {
    char text[128], duration[64] = "";
    struct nd_line line;
    if (entry->limit > 0) {
        nd_line_start(&line, duration, sizeof duration);
        nd_line_put_char(&line, '=');
        if (entry->bytes) {
            nd_line_put_number(&line, entry->bytes, 0);
            nd_line_put_char(&line, '/');
        }
        nd_line_put_duration(&line, entry->limit);
    }
    snprintf(text, sizeof text, "%s%s%s", entry->limit_name, duration, entry->is_observed ? " (observed)" : "");
    table_add(table, entry->has_library ? text : "no library");
}

int64_t blocked_used(const struct blocked *entry) {
    if (entry->limit <= 0 || entry->left < 0)
        return -1;
    return entry->limit > entry->left ? entry->limit - entry->left : 0;
}

static void add_used(struct table *table, const struct blocked *entry) {
    char text[USED_COLUMNS + 3] = "";
    const int64_t used = blocked_used(entry);
    if (used >= 0) {
        text[0] = '[';
        terminal_bar(text + 1, USED_COLUMNS, (uint64_t)used, (uint64_t)entry->limit, '.');
        text[USED_COLUMNS + 1] = ']';
        text[USED_COLUMNS + 2] = '\0';
    }
    table_add(table, text);
}

void blocked_tabulate(const struct blocked_list *list, bool with_bars, struct table *table) {
    static const char *const heading[] = {"PID",  "TID",     "PROGRAM", "CALL", "FD",
                                          "PEER", "WAITING", "LEFT",    "USED", "LIMIT"};
    enum { USED = 8 };
    *table = (struct table){.columns = (int)(sizeof heading / sizeof heading[0]) - !with_bars,
                            .right = 1 << 0 | 1 << 1 | 1 << 4 | 1 << 6 | 1 << 7};
    for (int i = 0; i < (int)(sizeof heading / sizeof heading[0]); i++)
        if (i != USED || with_bars)
            table_add(table, heading[i]);
    for (size_t i = 0; i < list->count; i++) {
        const struct blocked *entry = &list->entries[i];
        table_add_number(table, (uint64_t)entry->pid);
        if (entry->tid)
            table_add_number(table, (uint64_t)entry->tid);
        else
            table_add(table, "");
        table_add(table, entry->program);
        table_add(table, entry->call);
        if (entry->fd >= 0)
            table_add_number(table, (uint64_t)entry->fd);
        else
            table_add(table, "");
        table_add(table, entry->peer);
        table_add_time(table, entry->waiting);
        table_add_time(table, entry->left);
        if (with_bars)
            add_used(table, entry);
        add_limit(table, entry);
    }
}
