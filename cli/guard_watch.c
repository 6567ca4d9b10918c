#include "cli/guard_watch.h"

#include <stdlib.h>
#include <unistd.h>

static size_t place(const struct watch *watch, uint64_t cookie) {
    return (size_t)(cookie * 0x9e3779b97f4a7c15U >> 20) & (watch->size - 1);
}

static void put(struct watch *watch, struct watched *entry) {
    size_t at = place(watch, entry->cookie);
    while (watch->slots[at])
        at = (at + 1) & (watch->size - 1);
    watch->slots[at] = entry;
    watch->count++;
}

/* Makes a table of `size` of those that the last look has found, or of all. */
static bool rebuild(struct watch *watch, size_t size, bool found_only) {
    struct watched **old = watch->slots, **slots = calloc(size, sizeof(struct watched *));
    size_t old_size = watch->size;
    if (!slots)
        return false;
    watch->slots = slots;
    watch->size = size;
    watch->count = 0;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i] && found_only && old[i]->seen != watch->look)
            free(old[i]);
        else if (old[i])
            put(watch, old[i]);
    }
    free(old);
    return true;
}

struct watched *watch_find(struct watch *watch, const struct connection *connection, nd_time now) {
    for (size_t at = place(watch, connection->cookie); watch->size && watch->slots[at];
         at = (at + 1) & (watch->size - 1))
        if (watch->slots[at]->cookie == connection->cookie)
            return watch->slots[at];
    if (2 * watch->count >= watch->size && !rebuild(watch, watch->size ? 2 * watch->size : 256, false))
        return NULL;
    struct watched *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->cookie = connection->cookie;
    entry->fd = -1;
    entry->due = ND_NEVER;
    entry->seen = watch->look - 1;
    judge_begin(&entry->judge, connection, now);
    put(watch, entry);
    return entry;
}

void watch_sweep(struct watch *watch) {
    size_t size = 256;
    while (size < 4 * watch->present)
        size *= 2;
    if (watch->present != watch->count || size < watch->size / 2)
        rebuild(watch, size > watch->size || size < watch->size / 2 ? size : watch->size, true);
}

struct connection *watch_listed(struct watch *watch, const struct watched *watched) {
    struct connection_list *const lists[] = {&watch->list, &watch->connecting};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (watched->at < lists[i]->count && lists[i]->entries[watched->at].cookie == watched->cookie)
            return &lists[i]->entries[watched->at];
    return NULL;
}

void watch_free(struct watch *watch) {
    for (size_t i = 0; i < watch->size; i++)
        free(watch->slots[i]);
    free(watch->slots);
    free(watch->found);
    connections_free(&watch->list);
    connections_free(&watch->connecting);
    if (watch->netlink >= 0)
        close(watch->netlink);
    *watch = (struct watch){.netlink = -1};
}
