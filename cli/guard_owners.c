#include "cli/guard_owners.h"

#include <stdlib.h>

#include "cli/process/array.h"

/* A descriptor of a process that is guarded. */
struct descriptor {
    uint32_t inode;
    int fd;
    struct guard_target *target;
};

struct scan {
    struct descriptor *found;
    size_t count, room;
    struct guard_target *target;
};

static bool note_descriptor(uint32_t inode, int fd, void *arg) {
    struct scan *scan = arg;
    if (!array_grow(&scan->found, scan->count, &scan->room, sizeof *scan->found, 1024))
        return true;
    scan->found[scan->count++] = (struct descriptor){inode, fd, scan->target};
    return false;
}

static int by_inode(const void *a, const void *b) {
    const struct descriptor *x = a, *y = b;
    if (x->inode != y->inode)
        return x->inode < y->inode ? -1 : 1;
    return x->target->is_named != y->target->is_named
               ? y->target->is_named - x->target->is_named
               : (x->target->pid > y->target->pid) - (x->target->pid < y->target->pid);
}

/* The first of the descriptors of this inode. */
static const struct descriptor *find_descriptor(const struct scan *scan, uint32_t inode) {
    size_t low = 0, high = scan->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (scan->found[middle].inode < inode)
            low = middle + 1;
        else
            high = middle;
    }
    return low < scan->count && scan->found[low].inode == inode ? &scan->found[low] : NULL;
}

static void take_owner(struct watched *watched, const struct scan *scan, const struct connection *connection,
                       bool is_early) {
    const struct descriptor *found = connection->inode ? find_descriptor(scan, connection->inode) : NULL;
    watched->was_looked_for = found || !is_early;
    watched->owner = found ? found->target : NULL;
    watched->fd = found ? found->fd : -1;
    watched->settings = found ? guard_policy_settings(found->target->policy, connection, watched->judge.inbound) : NULL;
}

static void take_owners(struct watch *watch, const struct scan *scan, const struct connection_list *list,
                        bool is_early) {
    for (size_t at = 0; at < list->count; at++) {
        struct watched *watched = watch_find(watch, &list->entries[at], watch->read_at);
        if (watched)
            take_owner(watched, scan, &list->entries[at], is_early);
    }
}

void guard_owners_find(const struct guard_targets *targets, struct watch *watches, int count, bool is_early) {
    struct scan scan = {0};
    for (size_t i = 0; i < targets->count; i++) {
        scan.target = targets->entries[i];
        if (scan.target->policy && !scan.target->policy->passes && !scan.target->has_ended)
            connections_each_descriptor(scan.target->pid, note_descriptor, &scan);
    }
    if (scan.count > 0)
        qsort(scan.found, scan.count, sizeof *scan.found, by_inode);
    for (struct watch *watch = watches; watch < watches + count; watch++) {
        take_owners(watch, &scan, &watch->list, is_early);
        take_owners(watch, &scan, &watch->connecting, is_early);
    }
    free(scan.found);
}
