#include "cli/process/block.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/process/descriptors.h"
#include "cli/process/image.h"
#include "cli/process/memory.h"
#include "cli/process/processes.h"

#define WITHIN(count, most) _Static_assert((int)(count) <= (int)(most), "our own library's tables can be read")
WITHIN(ND_OPERATIONS, BLOCK_MOST_OPERATIONS);
WITHIN(ND_LIMITS, BLOCK_MOST_LIMITS);
WITHIN(ND_SLOTS, BLOCK_MOST_SLOTS);
WITHIN(ND_SHARDS, BLOCK_MOST_SHARDS);
WITHIN(ND_EXPIRY_COUNTS, BLOCK_MOST_EXPIRIES);
_Static_assert(BLOCK_MOST_OPERATIONS - 1 <= UINT8_MAX, "a slot has a byte for it");
_Static_assert(ND_LIMITS <= ND_LIMIT_INBOUND, "it is a bit of its own");

struct search {
    struct block *block;
    bool thoroughly;
    enum block_found found;
};

static bool fits(const struct nd_state_table *table, size_t entry_size, uint32_t most) {
    return table->entry_size == entry_size && table->count > 0 && table->count <= most;
}

static bool is_sane(const struct nd_state *state) {
    return fits(&state->operations, ND_OPERATION_NAME, BLOCK_MOST_OPERATIONS) &&
           fits(&state->limits, ND_OPERATION_NAME, BLOCK_MOST_LIMITS) &&
           fits(&state->buckets, sizeof(uint32_t), ND_BUCKETS) && state->buckets.count == ND_BUCKETS &&
           fits(&state->slots, sizeof(struct nd_slot), BLOCK_MOST_SLOTS) && state->shards > 0 &&
           state->shards <= BLOCK_MOST_SHARDS &&
           fits(&state->counters, sizeof(struct nd_counters), BLOCK_MOST_OPERATIONS * BLOCK_MOST_SHARDS) &&
           state->counters.count == state->operations.count * state->shards &&
           fits(&state->settings, sizeof(struct nd_live_row), ND_LIVE_ROWS) &&
           fits(&state->wish, sizeof(struct nd_live_wish), 1) && fits(&state->watch, 1, 1 << 20) &&
           (state->end_requests.count == 0 ||
            fits(&state->end_requests, sizeof(struct nd_end_request), BLOCK_MOST_REQUESTS));
}

/* What an older library has not at its end stays 0. */
static enum block_found read_state(struct block *block) {
    struct nd_state *state = &block->state;
    memset(state, 0, sizeof *state);
    if (memory_read(block->pid, block->address, state, ND_STATE_LEAST) != 0)
        return errno == ESRCH ? BLOCK_GONE : BLOCK_STRANGE;
    if (memcmp(state->magic, ND_STATE_MAGIC, sizeof state->magic) != 0 || state->version != ND_STATE_VERSION ||
        state->size < ND_STATE_LEAST)
        return BLOCK_STRANGE;
    if (state->size >= sizeof *state)
        memory_read(block->pid, block->address + ND_STATE_LEAST, (char *)state + ND_STATE_LEAST,
                    sizeof *state - ND_STATE_LEAST);
    if (!is_sane(state))
        return BLOCK_STRANGE;
    return state->active ? BLOCK_FOUND : BLOCK_PASSIVE;
}

/* Whether the object is the program that the process runs: the command, whose block nobody but `guard` uses. */
static bool is_program(pid_t pid, const char *path) {
    char link[64], program[sizeof((struct block *)NULL)->path];
    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    ssize_t length = readlink(link, program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    return strcmp(path, program) == 0;
}

/* Reads the block of one object. Of several copies of the library the first in the search order works, and the others
 * say of themselves that they pass through, so that the search goes on. */
static bool visit(const struct image *image, void *arg) {
    struct search *search = arg;
    struct block *block = search->block;
    const char *base = strrchr(image->path, '/');
    if (!search->thoroughly && !strstr(base ? base : image->path, "netdeadline"))
        return false;
    uint64_t address = image_symbol(block->pid, image, "netdeadline_state");
    if (!address)
        return false;
    const struct block before = *block;
    block->address = address;
    snprintf(block->path, sizeof block->path, "%s", image->path);
    enum block_found found = read_state(block);
    if (found == BLOCK_PASSIVE && is_program(block->pid, image->path)) {
        *block = before;
        return false;
    }
    search->found = found;
    return found == BLOCK_FOUND;
}

static enum block_found search_images(struct block *block, bool thoroughly) {
    struct search search = {block, thoroughly, BLOCK_NONE};
    if (image_each(block->pid, visit, &search) < 0 && search.found == BLOCK_NONE)
        return errno == ENOENT || errno == ESRCH ? BLOCK_GONE : BLOCK_DENIED;
    return search.found;
}

enum block_found block_open(struct block *block, pid_t pid, bool thoroughly) {
    *block = (struct block){.pid = pid};
    enum block_found found = search_images(block, false);
    if (found == BLOCK_NONE && thoroughly)
        found = search_images(block, true);
    return found == BLOCK_NONE && process_life(pid) == PROCESS_ENDED ? BLOCK_GONE : found;
}

static void read_name(const struct block *block, const struct nd_state_table *table, unsigned number,
                      char name[ND_OPERATION_NAME]) {
    if (number == 0 || number >= table->count ||
        memory_read(block->pid, table->address + (uint64_t)number * ND_OPERATION_NAME, name, ND_OPERATION_NAME) != 0)
        strcpy(name, "?");
    name[ND_OPERATION_NAME - 1] = '\0';
}

void block_operation(const struct block *block, unsigned operation, char name[ND_OPERATION_NAME]) {
    read_name(block, &block->state.operations, operation, name);
}

void block_limit(const struct block *block, unsigned limit, char name[2 * ND_OPERATION_NAME]) {
    char own[ND_OPERATION_NAME];
    read_name(block, &block->state.limits, limit & ~(unsigned)ND_LIMIT_INBOUND, own);
    snprintf(name, 2 * ND_OPERATION_NAME, "%s%s", limit & ND_LIMIT_INBOUND ? "INBOUND_" : "", own);
}

/* Reads a whole table, which the caller frees, or NULL. */
static void *read_table(const struct block *block, const struct nd_state_table *table) {
    size_t size = (size_t)table->entry_size * table->count;
    void *entries = malloc(size);
    if (entries && memory_read(block->pid, table->address, entries, size) != 0) {
        free(entries);
        entries = NULL;
    }
    return entries;
}

struct nd_slot *block_slots(const struct block *block, unsigned *count) {
    *count = block->state.slots.count;
    return read_table(block, &block->state.slots);
}

int block_slot(const struct block *block, unsigned index, struct nd_slot *slot) {
    enum { TRIES = 4 };
    struct nd_slot again;
    uint64_t address = block->state.slots.address + (uint64_t)index * sizeof *slot;
    if (index >= block->state.slots.count)
        return -1;
    for (int i = 0; i < TRIES; i++) {
        if (memory_read(block->pid, address, slot, sizeof *slot) != 0 ||
            memory_read(block->pid, address, &again, sizeof again) != 0 || slot->tid == 0)
            return -1;
        if (!(slot->sequence & 1) && slot->sequence == again.sequence && slot->tid == again.tid)
            return 0;
    }
    return -1;
}

bool block_slot_stands(const struct block *block, const struct nd_slot *slot) {
    uint64_t word = 0;
    size_t size = slot->return_to > UINT32_MAX ? 8 : 4; /* 4 in a 32-bit process */
    return memory_read(block->pid, slot->frame, &word, size) == 0 &&
           (size == 8 ? word == slot->return_to : (uint32_t)word == (uint32_t)slot->return_to);
}

static void add(struct block_counters *sum, const struct nd_counters *part) {
    sum->total += part->total;
    sum->longest = part->longest > sum->longest ? part->longest : sum->longest;
    sum->expired += part->expired;
    sum->observed += part->observed;
    sum->quiet += part->quiet;
    sum->in_a_row = part->in_a_row > sum->in_a_row ? part->in_a_row : sum->in_a_row;
    sum->stale += part->stale;
    for (int i = 0; i <= ND_BUCKETS; i++) {
        sum->buckets[i] += part->buckets[i];
        sum->done += part->buckets[i];
    }
}

struct block_counters *block_counters(const struct block *block, unsigned *operations) {
    struct nd_counters *parts = read_table(block, &block->state.counters);
    struct block_counters *sums = calloc(block->state.operations.count, sizeof *sums);
    *operations = block->state.operations.count;
    for (unsigned i = 0; parts && sums && i < block->state.counters.count; i++)
        add(&sums[i % block->state.operations.count], &parts[i]);
    if (!parts) {
        free(sums);
        sums = NULL;
    }
    free(parts);
    return sums;
}

struct block_expiry *block_expiries(const struct block *block, unsigned *count) {
    const struct nd_state_table *table = &block->state.expiries;
    *count = 0;
    if (!fits(table, sizeof(struct nd_expiry_count), BLOCK_MOST_EXPIRIES))
        return NULL;
    struct nd_expiry_count *rows = read_table(block, table);
    struct block_expiry *expiries = calloc(table->count, sizeof *expiries);
    for (unsigned i = 0; rows && expiries && i < table->count; i++) {
        const uint32_t what = rows[i].what;
        if (!what || !rows[i].count)
            continue;
        struct block_expiry *expiry = &expiries[(*count)++];
        block_limit(block, what & 0xff, expiry->limit);
        expiry->is_observed = what & ND_EXPIRY_OBSERVED;
        expiry->set.by = what >> ND_EXPIRY_BY_SHIFT & 3;
        expiry->set.line = (uint16_t)(what >> ND_EXPIRY_LINE_SHIFT);
        expiry->count = rows[i].count;
    }
    free(rows);
    return expiries;
}

struct nd_live_row *block_settings(const struct block *block, unsigned *count) {
    struct nd_live_row *rows = read_table(block, &block->state.settings);
    *count = 0;
    while (rows && *count < block->state.settings.count && rows[*count].name[0]) {
        rows[*count].name[sizeof rows->name - 1] = '\0';
        ++*count;
    }
    return rows;
}

/* Limits hold for calls on sockets and epoll sets. */
static bool leave_fast_path(const struct process_descriptor *descriptor, void *arg) {
    const struct block *block = arg;
    const unsigned char all = (unsigned char)block->state.watch_all;
    if ((descriptor->kind == DESCRIPTOR_SOCKET || descriptor->kind == DESCRIPTOR_EPOLL_SET) &&
        (uint64_t)descriptor->fd < block->state.watch.count)
        memory_write(block->pid, block->state.watch.address + (uint64_t)descriptor->fd, &all, 1);
    return false;
}

void block_leave_fast_paths(const struct block *block) {
    descriptors_each(block->pid, NULL, leave_fast_path, (struct block *)(uintptr_t)block);
}
