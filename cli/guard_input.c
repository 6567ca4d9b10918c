#include "cli/guard_input.h"

#include "cli/process/descriptors.h"

enum { MOST_ANCESTORS = 64, MOST_DEPTH = 16 };

/* A connection that several processes may have. */
struct shared {
    const struct guard_targets *targets;
    uint32_t inode;
    int fd;           /* of the process that is looked at; -1: it has none */
    enum input input; /* that any of those who were looked at waits for */
    bool has_looked;  /* at others than the owner */
};

static bool note_descriptor(const struct process_descriptor *descriptor, void *arg) {
    struct shared *shared = arg;
    shared->fd = descriptor->inode == shared->inode ? descriptor->fd : -1;
    return shared->fd >= 0;
}

/* Returns whether the process waits for input of the connection, so that no other need be looked at. */
static bool look_at(struct shared *shared, const struct guard_target *target) {
    shared->fd = -1;
    if (target->has_ended || descriptors_each(target->pid, NULL, note_descriptor, shared) < 0 || shared->fd < 0)
        return false;
    shared->has_looked = true;
    input_look(target->pid);
    const enum input input = input_of_program(go_waits_look(target->pid), shared->fd, shared->inode);
    shared->input = input > shared->input ? input : shared->input;
    return shared->input == INPUT_AWAITED;
}

static const struct guard_target *find_parent(const struct shared *shared, const struct guard_target *target) {
    for (size_t i = 0; i < shared->targets->count; i++)
        if (shared->targets->entries[i]->pid == target->parent)
            return shared->targets->entries[i];
    return NULL;
}

static bool look_at_descendants(struct shared *shared, const struct guard_target *target, int depth) {
    for (size_t i = 0; i < shared->targets->count && depth < MOST_DEPTH; i++) {
        const struct guard_target *child = shared->targets->entries[i];
        if (child->parent == target->pid && (look_at(shared, child) || look_at_descendants(shared, child, depth + 1)))
            return true;
    }
    return false;
}

static void look_at_relatives(struct shared *shared, const struct guard_target *owner) {
    const struct guard_target *ancestor = find_parent(shared, owner);
    for (int i = 0; ancestor && i < MOST_ANCESTORS; i++, ancestor = find_parent(shared, ancestor))
        if (look_at(shared, ancestor))
            return;
    look_at_descendants(shared, owner, 0);
}

enum input guard_input(const struct guard_targets *targets, const struct watched *watched, struct go_program *go,
                       bool *is_looked_at) {
    struct shared shared = {.targets = targets, .inode = watched->inode};
    if (!go && !*is_looked_at)
        input_look(watched->owner->pid);
    *is_looked_at = true;
    shared.input = input_of_program(go, watched->fd, watched->inode);
    if (shared.input != INPUT_AWAITED)
        look_at_relatives(&shared, watched->owner);
    *is_looked_at = !shared.has_looked;
    return shared.input;
}
