#include "cli/process/blocked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/process/array.h"
#include "cli/process/call_limit.h"
#include "cli/process/escape.h"
#include "cli/process/memory.h"
#include "cli/process/process_connections.h"
#include "cli/process/processes.h"
#include "cli/process/system_call.h"
#include "shim/report/format_peer.h"

/* What is known of the process that is being looked at. */
struct look {
    struct blocked_list *list;
    struct block block;
    enum block_found found;
    struct nd_slot *slots;
    unsigned slot_count, added;
    bool is_64, denied;
    bool has_records;       /* what the library knows of its sockets can be read */
    struct wait_list waits; /* of the thread that is being looked at */
    int64_t now;
    pid_t pid;
    struct go_program *go; /* NULL: another */
    char program[64];
};

static struct blocked *add_entry(struct look *look) {
    struct blocked_list *list = look->list;
    if (!array_grow(&list->entries, list->count, &list->room, sizeof *list->entries, 64))
        return NULL;
    struct blocked *entry = &list->entries[list->count++];
    *entry = (struct blocked){.pid = look->pid, .fd = -1, .waiting = -1, .left = -1, .limit = -1};
    entry->has_library = look->found == BLOCK_FOUND;
    snprintf(entry->program, sizeof entry->program, "%s", look->program);
    look->added++;
    return entry;
}

/* Finds the thread's slot and reads it whole. Where a call that the thread has left by a jump has a slot too, the
 * newest counts. */
static bool find_slot(const struct look *look, pid_t inner_tid, uint64_t stack, struct nd_slot *found) {
    bool any = false;
    for (unsigned i = 0; i < look->slot_count; i++) {
        struct nd_slot slot;
        if (look->slots[i].tid != (uint32_t)inner_tid || block_slot(&look->block, i, &slot) != 0 ||
            slot.tid != (uint32_t)inner_tid || !block_slot_stands(&look->block, &slot))
            continue;
        if (stack && slot.frame < stack && stack - slot.frame < (uint64_t)1 << 20)
            continue; /* its frame is below the stack pointer: a jump has left the call */
        if (!any || slot.began > found->began)
            *found = slot;
        any = true;
    }
    return any;
}

static void describe_peer(struct blocked *entry, const struct system_call *call) {
    if (call->more)
        snprintf(entry->peer, sizeof entry->peer, "%s (+%u)", call->info.peer, call->more);
    else
        snprintf(entry->peer, sizeof entry->peer, "%s", call->info.peer);
}

/* Text that the slot points to is shown where the call is still the same afterwards. */
static bool describe_name(struct look *look, struct blocked *entry, const struct nd_slot *slot) {
    char text[256];
    struct nd_slot again; /* the text may be anything once the call is over */
    if (!slot->name || memory_read_text(look->pid, slot->name, text, sizeof text) != 0)
        return false;
    if (memory_read_text(look->pid, slot->name, text, sizeof text) == 0 &&
        find_slot(look, (pid_t)slot->tid, 0, &again) && again.sequence == slot->sequence)
        escape(entry->peer, sizeof entry->peer, text);
    return true;
}

static bool is_epoll(const struct nd_slot *slot) {
    return slot->operation < ND_OPERATIONS && nd_operation_table[slot->operation].family == ND_FAMILY_EPOLL;
}

/* Finds the peer. `call`, of a thread that was seen outside its wait, becomes the set that the slot tells of. */
static void describe_target(struct look *look, struct blocked *entry, const struct nd_slot *slot,
                            struct system_call *call) {
    struct system_call one = {.fd = -1};
    if (describe_name(look, entry, slot))
        return;
    entry->fd = slot->fd;
    if (slot->fd >= 0 && socket_look(look->pid, slot->fd, &one.info) == 0)
        describe_peer(entry, &one);
    else if (slot->fd >= 0 && system_call_look_at_epoll(look->pid, slot->fd, call, &look->waits))
        describe_peer(entry, call);
    else if (call->name) {
        entry->fd = call->fd;
        describe_peer(entry, call);
    }
}

/* CONNECT and ACCEPT are set for one direction only. */
static bool has_inbound(enum nd_limit limit) {
    return limit != ND_LIMIT_CONNECT && limit != ND_LIMIT_ACCEPT;
}

static void show_limit(struct look *look, struct blocked *entry, const struct call_limit *found) {
    const struct bound *bound = &found->bound;
    char name[2 * ND_OPERATION_NAME];
    if (bound->is_operation) {
        escape(entry->limit_name, sizeof entry->limit_name, found->name);
    } else if (bound->limit) {
        block_limit(&look->block,
                    bound->limit | (found->is_inbound && has_inbound(bound->limit) ? ND_LIMIT_INBOUND : 0U), name);
        escape(entry->limit_name, sizeof entry->limit_name, name);
    } else {
        return;
    }
    entry->limit = bound->timeout;
    entry->bytes = bound->bytes;
    if (bound->at != ND_NEVER)
        entry->left = bound->at > look->now ? bound->at - look->now : 0;
}

/* Of a set the socket is shown whose limit fires first, and how many others there are. */
static void show_socket(struct look *look, struct blocked *entry, const struct call_limit *found, bool keeps_fd,
                        const struct system_call *call) {
    struct system_call first = {.fd = found->fd};
    if (found->fd < 0 || socket_look(look->pid, found->fd, &first.info) != 0)
        return;
    first.more = call->fd >= 0 && first.info.is_internet ? call->more : 0;
    describe_peer(entry, &first);
    if (!keeps_fd)
        entry->fd = found->fd;
}

/* The limit as the slot tells of it alone. */
static void show_slot_limit(struct look *look, struct blocked *entry, const struct nd_slot *slot) {
    char limit[2 * ND_OPERATION_NAME];
    if (slot->limit) {
        block_limit(&look->block, slot->limit, limit);
        escape(entry->limit_name, sizeof entry->limit_name, limit);
    }
    if (slot->deadline > 0 && slot->deadline != ND_NEVER && slot->began > 0) {
        const int64_t now = slot->began + entry->waiting; /* not before it began */
        entry->left = slot->deadline > now ? slot->deadline - now : 0;
        if (slot->limit && slot->deadline > slot->began)
            entry->limit = slot->deadline - slot->began;
    }
}

static void add_slot(struct look *look, pid_t tid, const struct nd_slot *slot, struct system_call *call) {
    char name[ND_OPERATION_NAME];
    struct call_limit found;
    struct blocked *entry = add_entry(look);
    if (!entry)
        return;
    entry->tid = tid;
    entry->is_observed = slot->observed;
    entry->waiting = slot->began > 0 && slot->began <= look->now ? look->now - slot->began : 0;
    block_operation(&look->block, slot->operation, name);
    escape(entry->call, sizeof entry->call, name);
    describe_target(look, entry, slot, call);
    if (look->has_records && call_limit_of_slot(&look->block, slot, &look->waits, look->now, &found)) {
        show_limit(look, entry, &found);
        if (look->waits.count > 1)
            show_socket(look, entry, &found, is_epoll(slot), call);
    } else {
        show_slot_limit(look, entry, slot);
    }
}

static void add_call(struct look *look, pid_t tid, const struct system_call *call) {
    struct call_limit found;
    struct blocked *entry = add_entry(look);
    if (!entry)
        return;
    entry->tid = tid;
    entry->fd = call->fd;
    snprintf(entry->call, sizeof entry->call, "%s", call->name);
    describe_peer(entry, call);
    if (!look->has_records)
        return;
    call_limit_of_call(&look->block, call->is_set, &look->waits, look->now, &found);
    entry->is_observed = nd_settings.mode == ND_MODE_OBSERVE && found.bound.limit;
    show_limit(look, entry, &found);
    if (call->is_set)
        show_socket(look, entry, &found, false, call);
}

/* Reads the slots anew: threads have begun and ended calls since. */
static void read_slots(struct look *look) {
    free(look->slots);
    look->slots = block_slots(&look->block, &look->slot_count);
}

/* Adds the call that the thread is blocked in. A thread takes its slot before it blocks. One that blocks and has no
 * slot has begun its call since the slots were read, or its call was over before the slot was looked for. So the thread
 * has no slot only if several looks say so. */
static void look_at_thread(pid_t tid, void *arg) {
    enum { LOOKS = 4 };
    struct look *look = arg;
    struct system_call call;
    for (int i = 0; i < LOOKS; i++) {
        struct nd_slot slot;
        int status = system_call_look(look->pid, tid, look->is_64, &call, &look->waits);
        if (status != 0)
            look->denied = true;
        if (i > 0)
            read_slots(look);
        if (look->slots && find_slot(look, process_inner_tid(look->pid, tid), call.stack, &slot)) {
            add_slot(look, tid, &slot, &call);
            return;
        }
        if (status != 0 || !call.name)
            return;
        if (!look->slots)
            break;
    }
    add_call(look, tid, &call);
}

/* What is shorter than this is no trouble. */
#define TROUBLE ND_SEC

/* The trouble of a connection, in a word, and for how long it has been so; NULL for none. */
static const char *name_trouble(const struct connection *connection, struct go_program *go, int fd, nd_time *since) {
    struct connection_trouble trouble;
    connection_trouble(connection, go, fd, &trouble);
    const struct {
        const char *name;
        nd_time since;
    } kinds[] = {{"connecting", trouble.connecting},
                 {"unacknowledged", trouble.unacked},
                 {"send-stalled", trouble.stalled},
                 {"reply-pending", trouble.reply_pending}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].since >= TROUBLE) {
            *since = kinds[i].since;
            return kinds[i].name;
        }
    return NULL;
}

/* A client's idle connection owes it nothing, nor does a server's client: of accepted connections it is not known
 * whether they are only idle between two requests. */
static void add_connection(const struct connection *connection, int fd, void *arg) {
    struct look *look = arg;
    struct nd_line peer;
    nd_time since = 0;
    const char *trouble = name_trouble(connection, look->go, fd, &since);
    if (!trouble || (connection->is_inbound && strcmp(trouble, "reply-pending") == 0))
        return;
    struct blocked *entry = add_entry(look);
    if (!entry)
        return;
    entry->fd = fd;
    entry->waiting = since;
    snprintf(entry->call, sizeof entry->call, "%s", trouble);
    nd_line_start(&peer, entry->peer, sizeof entry->peer);
    nd_format_put_peer(&peer, (const struct sockaddr *)&connection->remote, sizeof connection->remote);
}

/* The time on the process's own monotonic clock, which is another in a time namespace. */
static int64_t now(pid_t pid) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec + process_clock_offset(pid) -
           process_clock_offset(getpid());
}

static void look_at_process(struct look *look, bool named) {
    const pid_t pid = look->pid;
    look->is_64 = process_is_64(pid);
    process_name(pid, look->program, sizeof look->program);
    look->found = block_open(&look->block, pid, named);
    look->now = now(pid);
    if (look->found == BLOCK_FOUND) {
        look->has_records = record_start(&look->block);
        read_slots(look);
    }
    if (look->found != BLOCK_GONE)
        process_each_thread(pid, look_at_thread, look);
    look->go = go_waits_look(pid);
    if (look->found == BLOCK_NONE || look->found == BLOCK_PASSIVE)
        process_connections(pid, add_connection, look);
}

/* Whether the process has the library after all: it executed another program while it was looked at, as env(1) does. */
static bool has_got_library(const struct look *look, bool named) {
    struct block block;
    return look->found == BLOCK_NONE && look->added > 0 && block_open(&block, look->pid, named) == BLOCK_FOUND;
}

enum block_found blocked_collect(struct blocked_list *list, pid_t pid, bool named) {
    struct look *look = calloc(1, sizeof *look);
    if (!look)
        return BLOCK_DENIED;
    look->list = list;
    look->pid = pid;
    look_at_process(look, named);
    if (has_got_library(look, named)) {
        list->count -= look->added;
        look->added = 0;
        look_at_process(look, named);
    }
    if (look->found == BLOCK_FOUND && look->added == 0 && process_exists(pid))
        add_entry(look);
    if (look->found == BLOCK_DENIED && process_exists(pid))
        list->denied++;
    enum block_found found = look->found;
    free(look->slots);
    free(look->waits.entries);
    free(look);
    return found;
}

static void collect_one(pid_t pid, void *arg) {
    blocked_collect(arg, pid, false);
}

void blocked_collect_all(struct blocked_list *list) {
    process_each(collect_one, list);
}

void blocked_free(struct blocked_list *list) {
    free(list->entries);
    *list = (struct blocked_list){0};
}
