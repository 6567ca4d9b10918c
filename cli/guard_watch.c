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

/* Makes a table of `size` of those that are present, or of all. */
static bool rebuild(struct watch *watch, size_t size, bool present_only) {
    struct watched **old = watch->slots, **slots = calloc(size, sizeof(struct watched *));
    size_t old_size = watch->size;
    if (!slots)
        return false;
    watch->slots = slots;
    watch->size = size;
    watch->count = 0;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i] && present_only && !old[i]->is_present) {
            free(old[i]);
        } else if (old[i]) {
            old[i]->is_present &= !present_only; /* growing, which happens in the midst of a look, keeps the marks */
            put(watch, old[i]);
        }
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
    judge_begin(&entry->judge, connection, now);
    put(watch, entry);
    return entry;
}

void watch_sweep(struct watch *watch) {
    size_t present = 0, size = 256;
    for (size_t i = 0; i < watch->size; i++)
        present += watch->slots[i] && watch->slots[i]->is_present;
    while (size < 4 * present)
        size *= 2;
    rebuild(watch, size, true);
}

void watch_free(struct watch *watch) {
    for (size_t i = 0; i < watch->size; i++)
        free(watch->slots[i]);
    free(watch->slots);
    connections_free(&watch->list);
    if (watch->netlink >= 0)
        close(watch->netlink);
    *watch = (struct watch){.netlink = -1};
}
