/* The command's reading of a state block, which is the other process's to make nonsense of. The blocks are in this
 * process's own memory; a test can change them between two reads. */
#include "cli/process/block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cli/process/image.h"
#include "cli/process/memory.h"
#include "tests/unit/unit.h"

enum { OPERATIONS = 5, LIMITS = 3, SLOTS = 4, SHARDS = 2, ROWS = 3 };

static struct nd_state state;
static char operations[OPERATIONS][ND_OPERATION_NAME], limits[LIMITS][ND_OPERATION_NAME];
static uint32_t buckets[ND_BUCKETS];
static struct nd_slot slots[SLOTS];
static struct nd_counters counters[SHARDS][OPERATIONS];
static struct nd_live_row rows[ROWS];
static struct nd_live_wish wish;
static char watch[16];

/* Of the image: what it is called, where its symbol is (0: it has none), and how often that was asked for. */
static struct {
    const char *path;
    uint64_t symbol;
    int asked, error;
} loaded;

/* Called after each read of the other process's memory. */
static void (*meanwhile)(void);

int image_each(pid_t pid, bool (*visit)(const struct image *image, void *arg), void *arg) {
    struct image image = {.start = 4096};
    ck_assert_int_eq(pid, getpid());
    strcpy(image.path, loaded.path);
    errno = loaded.error;
    return loaded.error ? -1 : visit(&image, arg);
}

uint64_t image_symbol(pid_t pid, const struct image *image, const char *name) {
    (void)pid, (void)image;
    ck_assert_str_eq(name, "netdeadline_state");
    loaded.asked++;
    return loaded.symbol;
}

int memory_read(pid_t pid, uint64_t address, void *to, size_t size) {
    struct iovec here = {to, size}, there = {(void *)(uintptr_t)address, size};
    bool good = process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)size;
    if (meanwhile)
        meanwhile();
    return good ? 0 : -1;
}

int memory_write(pid_t pid, uint64_t address, const void *from, size_t size) {
    (void)pid, (void)address, (void)from, (void)size;
    return -1;
}

#define TABLE(array)                                                                                                   \
    (struct nd_state_table) {                                                                                          \
        {(array)}, sizeof(array)[0], sizeof(array) / sizeof(array)[0]                                                  \
    }

static struct nd_state_table *const tables[] = {&state.operations, &state.limits,   &state.buckets, &state.slots,
                                                &state.counters,   &state.settings, &state.wish,    &state.watch};
enum { TABLES = sizeof tables / sizeof tables[0] };

static void start(void) {
    state = (struct nd_state){.magic = ND_STATE_MAGIC,
                              .version = ND_STATE_VERSION,
                              .size = sizeof state,
                              .library = "1.2",
                              .active = 1,
                              .operations = TABLE(operations),
                              .limits = TABLE(limits),
                              .buckets = TABLE(buckets),
                              .slots = TABLE(slots),
                              .counters = {{counters}, sizeof counters[0][0], SHARDS * OPERATIONS},
                              .settings = TABLE(rows),
                              .wish = {{&wish}, sizeof wish, 1},
                              .watch = TABLE(watch),
                              .shards = SHARDS};
    memset(operations, 0, sizeof operations);
    memset(limits, 0, sizeof limits);
    memset(slots, 0, sizeof slots);
    memset(counters, 0, sizeof counters);
    memset(rows, 0, sizeof rows);
    strcpy(operations[1], "recv");
    strcpy(limits[1], "RECV");
    strcpy(rows[0].name, "RECV");
    loaded.path = "/usr/lib/libnetdeadline.so";
    loaded.symbol = (uintptr_t)&state;
    loaded.asked = loaded.error = 0;
    meanwhile = NULL;
}

static struct block block;

static enum block_found found(void) {
    return block_open(&block, getpid(), false);
}

/* Opens the block, which the test then spoils: what it says has been looked at by then, what it points to has not. */
static void open_good(void) {
    ck_assert_int_eq(found(), BLOCK_FOUND);
}

/* Memory of `size` bytes, a whole number of pages, with nothing mapped behind it. */
static char *before_a_hole(size_t size) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    char *memory = mmap(NULL, size + 4096, PROT_READ | PROT_WRITE, flags, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    munmap(memory + size, 4096);
    return memory;
}

START_TEST(a_good_block_is_found) {
    char name[2 * ND_OPERATION_NAME];
    open_good();
    ck_assert_str_eq(block.path, loaded.path);
    block_operation(&block, 1, name);
    ck_assert_str_eq(name, "recv");
    block_limit(&block, 1 | ND_LIMIT_INBOUND, name);
    ck_assert_str_eq(name, "INBOUND_RECV");
    state.active = 0;
    ck_assert_int_eq(found(), BLOCK_PASSIVE);
}
END_TEST

START_TEST(what_cannot_be_found_or_seen) {
    loaded.path = "/usr/lib/libc.so.6";
    ck_assert_int_eq(found(), BLOCK_NONE);
    ck_assert_int_eq(loaded.asked, 0);
    ck_assert_int_eq(block_open(&block, getpid(), true), BLOCK_FOUND);
    loaded.path = "/usr/lib/libnetdeadline.so";
    loaded.symbol = 0;
    ck_assert_int_eq(found(), BLOCK_NONE);
    loaded.symbol = 16;
    ck_assert_int_eq(found(), BLOCK_STRANGE);
    loaded.symbol = UINT64_MAX - 8;
    ck_assert_int_eq(found(), BLOCK_STRANGE);
    loaded.error = EACCES;
    ck_assert_int_eq(found(), BLOCK_DENIED);
    loaded.error = ESRCH;
    ck_assert_int_eq(found(), BLOCK_GONE);
}
END_TEST

START_TEST(another_versions_block_is_strange) {
    state.version++;
    ck_assert_int_eq(found(), BLOCK_STRANGE);
    start();
    state.magic[7] = '\0';
    ck_assert_int_eq(found(), BLOCK_STRANGE);
    start();
    state.size = ND_STATE_LEAST - 1;
    ck_assert_int_eq(found(), BLOCK_STRANGE);
    start();
    state.size = ND_STATE_LEAST; /* the first libraries of this version end there */
    state.end_requests.count = UINT32_MAX;
    ck_assert_int_eq(found(), BLOCK_FOUND);
    ck_assert_uint_eq(block.state.end_requests.count, 0);
    start();
    state.end_requests.count = BLOCK_MOST_REQUESTS + 1;
    ck_assert_int_eq(found(), BLOCK_STRANGE);
    start();
    state.size = sizeof state + 8; /* more at the end is only more */
    ck_assert_int_eq(found(), BLOCK_FOUND);
}
END_TEST

/* The library's file was replaced by a newer one, with this command; the process has the older. */
START_TEST(an_older_block_is_read_without_what_it_lacks) {
    const size_t hole = 4096;
    char *end = before_a_hole(hole) + hole;
    unsigned count = 1;
    state.size = ND_STATE_LEAST;
    memcpy(end - ND_STATE_LEAST, &state, ND_STATE_LEAST);
    loaded.symbol = (uintptr_t)end - ND_STATE_LEAST;
    ck_assert_int_eq(found(), BLOCK_FOUND);
    ck_assert_ptr_null(block_expiries(&block, &count));
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(expiries_by_limit) {
    static struct nd_expiry_count expiries[5];
    const uint32_t by = ND_SET_BY_ENVIRONMENT << ND_EXPIRY_BY_SHIFT;
    unsigned count;
    expiries[0].what = ND_EXPIRY_USED | 1 | ND_LIMIT_INBOUND | by;
    expiries[0].count = 7;
    expiries[1].what = ND_EXPIRY_USED | ND_EXPIRY_OBSERVED | 1 | ND_SET_BY_FILE << ND_EXPIRY_BY_SHIFT | 65535U << 16;
    expiries[1].count = 1;
    expiries[2].what = ND_EXPIRY_USED | 99; /* no limit */
    expiries[2].count = 2;
    expiries[3].what = UINT32_MAX;
    state.expiries = TABLE(expiries);
    open_good();
    struct block_expiry *found_rows = block_expiries(&block, &count);
    ck_assert_uint_eq(count, 3);
    ck_assert_str_eq(found_rows[0].limit, "INBOUND_RECV");
    ck_assert(!found_rows[0].is_observed && found_rows[0].set.by == ND_SET_BY_ENVIRONMENT && found_rows[0].count == 7);
    ck_assert(found_rows[1].is_observed && found_rows[1].set.by == ND_SET_BY_FILE && found_rows[1].set.line == 65535);
    ck_assert_str_eq(found_rows[2].limit, "?");
    free(found_rows);
    state.expiries.count = UINT32_MAX;
    open_good();
    ck_assert_ptr_null(block_expiries(&block, &count));
    state.expiries = (struct nd_state_table){0};
}
END_TEST

START_TEST(counts_are_bounded) {
    static const uint32_t most[TABLES] = {BLOCK_MOST_OPERATIONS, BLOCK_MOST_LIMITS, ND_BUCKETS, BLOCK_MOST_SLOTS,
                                          SHARDS * OPERATIONS,   ND_LIVE_ROWS,      1,          1 << 20};
    for (int i = 0; i < TABLES; i++) {
        const uint32_t counts[] = {0, most[i] + 1, INT32_MAX, UINT32_MAX};
        for (size_t j = 0; j < sizeof counts / sizeof counts[0]; j++) {
            start();
            tables[i]->count = counts[j];
            ck_assert_int_eq(found(), BLOCK_STRANGE);
        }
    }
    start();
    state.slots.count = BLOCK_MOST_SLOTS;
    state.limits.count = BLOCK_MOST_LIMITS;
    state.settings.count = ND_LIVE_ROWS;
    ck_assert_int_eq(found(), BLOCK_FOUND);
}
END_TEST

START_TEST(sizes_must_be_ours) {
    for (int i = 0; i < TABLES; i++) {
        const uint32_t own = tables[i]->entry_size, sizes[] = {0, own - 1, own + 1, 2 * own, UINT32_MAX};
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            start();
            tables[i]->entry_size = sizes[j];
            ck_assert_int_eq(found(), BLOCK_STRANGE);
        }
    }
}
END_TEST

START_TEST(shards_must_divide_the_counters) {
    static const uint32_t wrong[] = {0, 1, SHARDS + 1, BLOCK_MOST_SHARDS + 1, UINT32_MAX, 0x80000002};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        state.shards = wrong[i];
        ck_assert_int_eq(found(), BLOCK_STRANGE);
    }
    state.shards = BLOCK_MOST_SHARDS + 1;
    state.counters.count = state.shards * OPERATIONS;
    ck_assert_int_eq(found(), BLOCK_STRANGE);
    state.shards = BLOCK_MOST_SHARDS;
    state.operations.count = BLOCK_MOST_OPERATIONS;
    state.counters.count = BLOCK_MOST_SHARDS * BLOCK_MOST_OPERATIONS;
    ck_assert_int_eq(found(), BLOCK_FOUND);
}
END_TEST

START_TEST(tables_that_are_nowhere) {
    static const uint64_t nowhere[] = {0, 16, INT64_MAX, (uint64_t)1 << 63, UINT64_MAX - 8, UINT64_MAX};
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
        char name[2 * ND_OPERATION_NAME];
        struct nd_slot slot;
        unsigned count;
        for (int j = 0; j < TABLES; j++)
            tables[j]->address = nowhere[i];
        open_good();
        block_operation(&block, 1, name);
        ck_assert_str_eq(name, "?");
        block_limit(&block, 2, name);
        ck_assert_str_eq(name, "?");
        ck_assert_ptr_null(block_slots(&block, &count));
        ck_assert_int_eq(block_slot(&block, 1, &slot), -1);
        ck_assert_ptr_null(block_counters(&block, &count));
        ck_assert_ptr_null(block_settings(&block, &count));
        ck_assert_uint_eq(count, 0);
    }
}
END_TEST

START_TEST(a_table_that_ends_in_a_hole_is_none) {
    char *memory = before_a_hole(4096);
    unsigned count;
    state.slots.start = memory;
    state.slots.count = 4096 / sizeof(struct nd_slot);
    open_good();
    struct nd_slot *whole = block_slots(&block, &count);
    ck_assert_ptr_nonnull(whole);
    ck_assert_uint_eq(count, state.slots.count);
    free(whole);
    state.slots.count++;
    open_good();
    ck_assert_ptr_null(block_slots(&block, &count));
}
END_TEST

START_TEST(numbers_that_are_none) {
    char name[2 * ND_OPERATION_NAME];
    open_good();
    for (unsigned i = 0; i < 256; i++) {
        block_operation(&block, i, name);
        ck_assert_int_eq(strcmp(name, "?") == 0, i == 0 || i >= OPERATIONS);
        block_limit(&block, i, name);
        ck_assert_int_eq(strchr(name, '?') != NULL, (i & 0x7f) == 0 || (i & 0x7f) >= LIMITS);
    }
    block_operation(&block, UINT32_MAX, name);
    ck_assert_str_eq(name, "?");
}
END_TEST

START_TEST(texts_without_an_end) {
    char name[2 * ND_OPERATION_NAME];
    unsigned count;
    memset(operations, 'o', sizeof operations);
    memset(limits, 'l', sizeof limits);
    memset(rows, 'r', sizeof rows);
    open_good();
    block_operation(&block, OPERATIONS - 1, name);
    ck_assert_uint_eq(strlen(name), ND_OPERATION_NAME - 1);
    block_limit(&block, (LIMITS - 1) | ND_LIMIT_INBOUND, name);
    ck_assert_uint_eq(strlen(name), strlen("INBOUND_") + ND_OPERATION_NAME - 1);
    struct nd_live_row *settings = block_settings(&block, &count);
    ck_assert_uint_eq(count, ROWS);
    for (unsigned i = 0; i < count; i++)
        ck_assert_uint_eq(strlen(settings[i].name), sizeof settings[i].name - 1);
    free(settings);
}
END_TEST

START_TEST(shards_are_added_up) {
    unsigned count;
    counters[0][1].buckets[0] = 3;
    counters[1][1].buckets[ND_BUCKETS] = 4;
    counters[0][1].longest = 7;
    counters[1][1].longest = 5;
    counters[1][2].expired = 6;
    open_good();
    struct block_counters *sums = block_counters(&block, &count);
    ck_assert_uint_eq(count, OPERATIONS);
    ck_assert_uint_eq(sums[1].done, 7);
    ck_assert_uint_eq(sums[1].longest, 7);
    ck_assert_uint_eq(sums[2].expired, 6);
    ck_assert_uint_eq(sums[3].done + sums[4].done, 0);
    free(sums);
    memset(counters, 0xff, sizeof counters);
    sums = block_counters(&block, &count);
    ck_assert_uint_eq(sums[1].expired, (uint64_t)SHARDS * UINT32_MAX);
    ck_assert_uint_eq(sums[1].longest, UINT64_MAX);
    free(sums);
}
END_TEST

/* --- slots that change while they are read --- */

static int reads;

static void write_on(void) {
    slots[1].sequence += 2;
}

static void write_until_the_fifth_read(void) {
    if (++reads < 5)
        slots[1].sequence += 2;
}

static void change_hands(void) {
    slots[1].tid++;
}

static void end(void) {
    slots[1].tid = 0;
}

START_TEST(a_slot_is_read_whole_or_not_at_all) {
    struct nd_slot slot;
    open_good();
    ck_assert_int_eq(block_slot(&block, 1, &slot), -1); /* not in use */
    slots[1].tid = 5;
    slots[1].fd = 77;
    ck_assert_int_eq(block_slot(&block, 1, &slot), 0);
    ck_assert_int_eq(slot.fd, 77);
    slots[1].sequence = 3; /* left half written, by a thread that was killed */
    ck_assert_int_eq(block_slot(&block, 1, &slot), -1);
    slots[1].sequence = 4;
    block.state.slots.count = 1;
    ck_assert_int_eq(block_slot(&block, 1, &slot), -1); /* there is one, but it is not of the table */
    block.state.slots.count = SLOTS;
    ck_assert_int_eq(block_slot(&block, SLOTS, &slot), -1);
    ck_assert_int_eq(block_slot(&block, UINT32_MAX, &slot), -1);
    meanwhile = write_on;
    ck_assert_int_eq(block_slot(&block, 1, &slot), -1);
    meanwhile = change_hands;
    ck_assert_int_eq(block_slot(&block, 1, &slot), -1);
    reads = 0;
    meanwhile = write_until_the_fifth_read;
    ck_assert_int_eq(block_slot(&block, 1, &slot), 0);
    ck_assert_int_eq(reads, 6);
    meanwhile = end;
    ck_assert_int_eq(block_slot(&block, 1, &slot), -1);
}
END_TEST

START_TEST(a_call_stands_as_long_as_its_frame) {
    static uint64_t frame = 0x7fff12345678;
    char *edge = before_a_hole(4096) + 4096 - 4;
    struct nd_slot slot = {.frame = (uintptr_t)&frame, .return_to = frame};
    open_good();
    ck_assert(block_slot_stands(&block, &slot));
    slot.return_to++;
    ck_assert(!block_slot_stands(&block, &slot));
    slot.frame = 16;
    ck_assert(!block_slot_stands(&block, &slot));
    slot.frame = UINT64_MAX - 2;
    ck_assert(!block_slot_stands(&block, &slot));
    slot.frame = (uintptr_t)edge;
    ck_assert(!block_slot_stands(&block, &slot)); /* half of it is in the hole */
    memcpy(edge, &(uint32_t){0x8049000}, 4);
    slot.return_to = 0x8049000;
    ck_assert(block_slot_stands(&block, &slot)); /* a 32-bit process has only that half */
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, a_good_block_is_found);
    tcase_add_test(tests, what_cannot_be_found_or_seen);
    tcase_add_test(tests, another_versions_block_is_strange);
    tcase_add_test(tests, an_older_block_is_read_without_what_it_lacks);
    tcase_add_test(tests, expiries_by_limit);
    tcase_add_test(tests, counts_are_bounded);
    tcase_add_test(tests, sizes_must_be_ours);
    tcase_add_test(tests, shards_must_divide_the_counters);
    tcase_add_test(tests, tables_that_are_nowhere);
    tcase_add_test(tests, a_table_that_ends_in_a_hole_is_none);
    tcase_add_test(tests, numbers_that_are_none);
    tcase_add_test(tests, texts_without_an_end);
    tcase_add_test(tests, shards_are_added_up);
    tcase_add_test(tests, a_slot_is_read_whole_or_not_at_all);
    tcase_add_test(tests, a_call_stands_as_long_as_its_frame);
}
