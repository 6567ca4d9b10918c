#include "cli/guard_targets.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/block_error.h"
#include "cli/cli.h"
#include "cli/guard_unit.h"
#include "cli/process/array.h"
#include "cli/process/connections_open.h"
#include "cli/process/descriptors.h"
#include "cli/process/ending.h"
#include "cli/process/processes.h"

/* So long after a program was executed the library may still not be found at work in it. */
#define LOADED_WITHIN (10 * ND_SEC)

/* Reads the parent of a process, and when it was started. The name, in brackets, may have anything in it. */
static bool read_origin(pid_t pid, pid_t *parent, uint64_t *started) {
    char path[64], text[1024];
    int its_parent;
    unsigned long long ticks;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    size_t got = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[got] = '\0';
    const char *end = strrchr(text, ')');
    if (!end || sscanf(end + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                       &its_parent, &ticks) != 2)
        return false;
    *parent = its_parent;
    *started = ticks;
    return true;
}

static struct guard_target *find(const struct guard_targets *targets, pid_t pid) {
    for (size_t i = 0; i < targets->count; i++)
        if (targets->entries[i]->pid == pid && !targets->entries[i]->has_ended)
            return targets->entries[i];
    return NULL;
}

/* Adds the process, unless it is there. Whether it is a child of `parent` (NULL: of any) is asked once neither number
 * can have become another's. */
static struct guard_target *add(struct guard_targets *targets, pid_t pid, const struct guard_target *parent) {
    struct guard_target *target = find(targets, pid);
    pid_t its_parent;
    if (target || pid == getpid())
        return target;
    if (!array_grow(&targets->entries, targets->count, &targets->room, sizeof(struct guard_target *), 32))
        return NULL;
    target = calloc(1, sizeof *target);
    if (!target)
        return NULL;
    target->pid = pid;
    target->pidfd = process_open(pid);
    if (target->pidfd < 0 && errno != ESRCH) {
        targets->refused++;
        targets->error = errno;
    }
    if (target->pidfd < 0 || !read_origin(pid, &its_parent, &target->started) || process_has_ended(target->pidfd) ||
        (parent && (its_parent != parent->pid || process_has_ended(parent->pidfd)))) {
        if (target->pidfd >= 0)
            close(target->pidfd);
        free(target);
        return NULL;
    }
    target->parent = its_parent;
    targets->entries[targets->count++] = target;
    return target;
}

static bool stop_at_first(const struct process_descriptor *descriptor, void *arg) {
    (void)descriptor;
    (void)arg;
    return true;
}

/* Whether this user may see whose the connections are. */
static bool may_see(const struct guard_target *target) {
    return descriptors_each(target->pid, NULL, stop_at_first, NULL) >= 0;
}

int guard_targets_start(struct guard_targets *targets, const struct guard_choice *choice) {
    *targets = (struct guard_targets){.choice = *choice};
    for (int i = 0; i < choice->pid_count; i++) {
        struct guard_target *target = add(targets, choice->pids[i], NULL);
        if (target && may_see(target)) {
            target->is_named = true;
            target->is_taken = !choice->beside_library;
            continue;
        }
        int status = target ? block_error(target->pid, BLOCK_DENIED) : block_process_error(choice->pids[i]);
        if (status == CLI_OK)
            cli_warn("cannot guard process %d: %s", (int)choice->pids[i], strerror(errno));
        return status != CLI_OK ? status : CLI_FAILED;
    }
    return CLI_OK;
}

/* A process, as the walk through /proc finds it. */
struct child {
    pid_t pid, parent;
};

struct walk {
    struct child *children;
    size_t count, room;
};

static void note_process(pid_t pid, void *arg) {
    struct walk *walk = arg;
    uint64_t started;
    if (!array_grow(&walk->children, walk->count, &walk->room, sizeof *walk->children, 256))
        return;
    struct child *child = &walk->children[walk->count];
    child->pid = pid;
    walk->count += read_origin(pid, &child->parent, &started);
}

/* For kernels that do not list a thread's children. */
static void add_descendants_of_all(struct guard_targets *targets) {
    struct walk walk = {0};
    process_each(note_process, &walk);
    for (size_t before = 0; before != targets->count;) {
        before = targets->count;
        for (size_t i = 0; i < walk.count; i++) {
            const struct guard_target *parent = find(targets, walk.children[i].parent);
            if (parent)
                add(targets, walk.children[i].pid, parent);
        }
    }
    free(walk.children);
}

/* Where children are added, and whose. */
struct family {
    struct guard_targets *targets;
    const struct guard_target *parent;
};

static void add_children(pid_t tid, void *arg) {
    const struct family *family = arg;
    char path[64];
    int child;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)family->parent->pid, (int)tid);
    FILE *file = fopen(path, "re");
    while (file && fscanf(file, "%d", &child) == 1)
        add(family->targets, child, family->parent);
    if (file)
        fclose(file);
}

/* Those that are added are looked at in turn. */
static void add_descendants(struct guard_targets *targets) {
    if (access("/proc/thread-self/children", R_OK) != 0) {
        add_descendants_of_all(targets);
        return;
    }
    for (size_t i = 0; i < targets->count; i++) {
        struct family family = {targets, targets->entries[i]};
        if (!family.parent->has_ended)
            process_each_thread(family.parent->pid, add_children, &family);
    }
}

/* Calls visit for each process that the file lists. */
static void each_listed(const char *path, void (*visit)(pid_t pid, void *arg), void *arg) {
    FILE *file = fopen(path, "re");
    int pid;
    while (file && fscanf(file, "%d", &pid) == 1)
        if (pid > 0) /* 0: it is in a PID namespace that is not seen from here */
            visit(pid, arg);
    if (file)
        fclose(file);
}

static void add_listed(pid_t pid, void *arg) {
    struct guard_target *target = add(arg, pid, NULL);
    if (target)
        target->is_listed = true;
}

struct membership {
    const struct guard_target *target;
    bool found;
};

static void compare(pid_t pid, void *arg) {
    struct membership *membership = arg;
    membership->found |= pid == membership->target->pid;
}

/* Keeps those that were added from `first` on and are still listed, now that their numbers cannot become another's. */
static void confirm_listed(struct guard_targets *targets, size_t first, const char *path) {
    size_t kept = first;
    for (size_t i = first; i < targets->count; i++) {
        struct membership membership = {targets->entries[i], false};
        each_listed(path, compare, &membership);
        if (membership.found && !process_has_ended(targets->entries[i]->pidfd)) {
            targets->entries[kept++] = targets->entries[i];
            continue;
        }
        close(targets->entries[i]->pidfd);
        free(targets->entries[i]);
    }
    targets->count = kept;
}

/* Adds the processes of a directory of the cgroup file system, and of those below it. */
static void add_cgroup(struct guard_targets *targets, const char *directory, int depth) {
    enum { MOST_DEPTH = 16 };
    const size_t first = targets->count;
    char path[4096];
    if (snprintf(path, sizeof path, "%s/cgroup.procs", directory) >= (int)sizeof path || depth > MOST_DEPTH)
        return;
    each_listed(path, add_listed, targets);
    confirm_listed(targets, first, path);
    DIR *entries = opendir(directory);
    for (const struct dirent *entry; entries && (entry = readdir(entries));)
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) < (int)sizeof path)
            add_cgroup(targets, path, depth + 1);
    if (entries)
        closedir(entries);
}

static void add_unit(struct guard_targets *targets) {
    const size_t size = sizeof targets->unit_cgroup;
    const bool is_there = targets->unit_cgroup[0] && access(targets->unit_cgroup, F_OK) == 0;
    if (is_there || guard_unit_find(GUARD_CGROUPS, targets->choice.unit, targets->unit_cgroup, size))
        add_cgroup(targets, targets->unit_cgroup, 0);
}

/* Threads of the kernel have no program. */
static void add_any(pid_t pid, void *arg) {
    char path[64], target[16];
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    if (readlink(path, target, sizeof target) > 0)
        add(arg, pid, NULL);
}

/* Whether the library is at work in the process. That is asked again for some time after a program was executed, since
 * the library may not have been loaded yet. */
static bool is_under_library(struct guard_target *target, nd_time now) {
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)target->pid);
    if (stat(path, &status) != 0)
        return false;
    if (target->executable.inode != status.st_ino || target->executable.device != status.st_dev) {
        target->executable = (struct guard_executable){status.st_dev, status.st_ino, now};
        target->has_library = false;
    }
    if (!target->has_library && now - target->executable.seen < LOADED_WITHIN)
        target->has_library = guard_target_is_left(target);
    return target->has_library;
}

/* Adds those that have come into the cgroup, and marks those that have left it. */
static void find_listed(struct guard_targets *targets) {
    for (size_t i = 0; i < targets->count; i++)
        targets->entries[i]->is_listed = false;
    if (targets->choice.unit)
        add_unit(targets);
    else
        add_cgroup(targets, targets->choice.cgroup, 0);
    for (size_t i = 0; i < targets->count; i++)
        targets->entries[i]->has_ended |= !targets->entries[i]->is_listed;
}

void guard_targets_refresh(struct guard_targets *targets) {
    const nd_time now = nd_now();
    for (size_t i = 0; i < targets->count; i++)
        targets->entries[i]->has_ended |= process_has_ended(targets->entries[i]->pidfd);
    if (targets->choice.cgroup || targets->choice.unit)
        find_listed(targets);
    else if (targets->choice.all)
        process_each(add_any, targets);
    else
        add_descendants(targets);
    for (size_t i = 0; i < targets->count; i++) {
        struct guard_target *target = targets->entries[i];
        const bool is_left = target->has_ended || (targets->choice.beside_library && is_under_library(target, now));
        target->policy = is_left ? NULL : guard_policy_of(target->pid);
        target->namespace = target->has_ended ? 0 : connections_namespace(target->pid);
    }
}

bool guard_targets_are_over(const struct guard_targets *targets) {
    if (targets->choice.all || targets->choice.unit)
        return false;
    if (targets->choice.cgroup)
        return access(targets->choice.cgroup, F_OK) != 0;
    for (size_t i = 0; i < targets->count; i++)
        if (!process_has_ended(targets->entries[i]->pidfd))
            return false;
    return true;
}

void guard_targets_bury(struct guard_targets *targets) {
    size_t kept = 0;
    for (size_t i = 0; i < targets->count; i++) {
        struct guard_target *target = targets->entries[i];
        if (!target->has_ended) {
            targets->entries[kept++] = target;
            continue;
        }
        close(target->pidfd);
        free(target);
    }
    targets->count = kept;
}

const struct block *guard_target_block(const struct guard_target *target) {
    static struct block block;
    return block_open(&block, target->pid, false) == BLOCK_FOUND ? &block : NULL;
}

bool guard_target_has_library(const struct guard_target *target) {
    return guard_target_block(target) != NULL;
}

bool guard_target_is_left(const struct guard_target *target) {
    return !target->is_taken && guard_target_has_library(target);
}
