#include "cli/guard_owners.h"

#include <stdlib.h>

#include "cli/process/array.h"
#include "cli/process/descriptors.h"

/* A descriptor of a process that is guarded. */
struct descriptor {
    uint32_t inode;
    int fd;
    struct guard_target *target;
};

struct scan {
    struct descriptor *found;
    size_t count, room;
    struct descriptor *known; /* that need not be read, by process and number */
    size_t known_count, known_room;
    bool is_whole; /* all are read, and all connections' owners are set anew */
    struct guard_target *target;
};

static int by_owner(const void *a, const void *b) {
    const struct descriptor *x = a, *y = b;
    return x->target != y->target ? ((uintptr_t)x->target < (uintptr_t)y->target ? -1 : 1) : x->fd - y->fd;
}

static bool is_known(int fd, void *arg) {
    const struct scan *scan = arg;
    const struct descriptor wanted = {.fd = fd, .target = scan->target};
    return scan->known_count > 0 &&
           bsearch(&wanted, scan->known, scan->known_count, sizeof *scan->known, by_owner) != NULL;
}

/* A descriptor that a connection was found in is that connection's as long as the kernel lists it with an inode. Where
 * it has another one since, beside which it stays open, that is seen by the next scan of all. */
static void note_known(struct scan *scan, const struct watch *watch) {
    for (size_t at = 0; at < watch->size; at++) {
        const struct watched *watched = watch->slots[at];
        if (watched && watched->owner && watched->was_looked_for && watched->inode && watched->seen == watch->look &&
            array_grow(&scan->known, scan->known_count, &scan->known_room, sizeof *scan->known, 1024))
            scan->known[scan->known_count++] = (struct descriptor){watched->inode, watched->fd, watched->owner};
    }
}

static bool note_descriptor(const struct process_descriptor *descriptor, void *arg) {
    struct scan *scan = arg;
    if (descriptor->kind != DESCRIPTOR_SOCKET)
        return false;
    if (!array_grow(&scan->found, scan->count, &scan->room, sizeof *scan->found, 1024))
        return true;
    scan->found[scan->count++] = (struct descriptor){descriptor->inode, descriptor->fd, scan->target};
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

/* Returns whether some remain without an owner that were looked for now. */
static bool take_owners(struct watch *watch, const struct scan *scan, const struct connection_list *list,
                        bool is_early) {
    bool is_any_left = false;
    for (size_t at = 0; at < list->count; at++) {
        struct watched *watched = watch_find(watch, &list->entries[at], watch->read_at);
        if (!watched || (!scan->is_whole && watched->was_looked_for))
            continue;
        take_owner(watched, scan, &list->entries[at], is_early);
        is_any_left |= list->entries[at].inode && !watched->owner;
    }
    return is_any_left;
}

static bool find_owners(struct scan *scan, const struct guard_targets *targets, struct watch *watches, int count,
                        bool is_early) {
    bool is_any_left = false;
    for (size_t i = 0; i < targets->count; i++) {
        scan->target = targets->entries[i];
        if (scan->target->policy && !scan->target->policy->passes && !scan->target->has_ended)
            descriptors_each(scan->target->pid, scan->is_whole ? NULL : is_known, note_descriptor, scan);
    }
    if (scan->count > 0)
        qsort(scan->found, scan->count, sizeof *scan->found, by_inode);
    for (struct watch *watch = watches; watch < watches + count; watch++) {
        is_any_left |= take_owners(watch, scan, &watch->list, is_early);
        is_any_left |= take_owners(watch, scan, &watch->connecting, is_early);
    }
    free(scan->found);
    free(scan->known);
    return is_any_left;
}

void guard_owners_find(const struct guard_targets *targets, struct watch *watches, int count, bool is_early) {
    struct scan scan = {.is_whole = true};
    find_owners(&scan, targets, watches, count, is_early);
}

bool guard_owners_find_new(const struct guard_targets *targets, struct watch *watches, int count, bool is_early) {
    struct scan scan = {0};
    for (const struct watch *watch = watches; watch < watches + count; watch++)
        note_known(&scan, watch);
    if (scan.known_count > 0)
        qsort(scan.known, scan.known_count, sizeof *scan.known, by_owner);
    return find_owners(&scan, targets, watches, count, is_early);
}
