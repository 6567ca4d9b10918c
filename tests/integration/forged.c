/* A process with a hostile state block: forged KIND, where KIND is what is wrong with it. It is read by root, on a
 * terminal. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/report/state.h"
#include "shim/socket/profile.h"
#include "shim/socket/record.h"

#define EVIL "\033[2J\033]0;owned\007\n\"}"

static char operations[ND_OPERATIONS][ND_OPERATION_NAME], limits[ND_LIMITS][ND_OPERATION_NAME];
static uint32_t buckets[ND_BUCKETS];
static struct nd_slot slots[64];
static struct nd_counters counters[4][ND_OPERATIONS];
static struct nd_live_row rows[8];
static struct nd_live_wish wish;
static char watch[64];
static struct nd_expiry_count expiries[ND_EXPIRY_COUNTS];
static uint64_t word = 0x1122334455667788;
static struct nd_sock records[ND_SOCK_CHUNK];
static uint64_t chunks[ND_SOCK_CHUNKS];
static struct nd_profile profiles[ND_PROFILES];

#define TABLE(array)                                                                                                   \
    { {(array)}, sizeof(array)[0], sizeof(array) / sizeof(array)[0] }

struct nd_state netdeadline_state __attribute__((visibility("default"))) = {
    .magic = ND_STATE_MAGIC,
    .version = ND_STATE_VERSION,
    .size = sizeof(struct nd_state),
    .library = "1\033[31m\n\"",
    .active = 1,
    .operations = TABLE(operations),
    .limits = TABLE(limits),
    .buckets = TABLE(buckets),
    .slots = TABLE(slots),
    .counters = {{counters}, sizeof(struct nd_counters), ND_OPERATIONS * 4},
    .settings = TABLE(rows),
    .wish = {{&wish}, sizeof wish, 1},
    .watch = TABLE(watch),
    .shards = 4,
    .watch_all = 0xff,
    .expiries = TABLE(expiries),
};

static void fill_with_evil(void) {
    memset(operations, 'o', sizeof operations); /* without an end */
    memset(limits, 'l', sizeof limits);
    memset(counters, 0xff, sizeof counters);
    memset(expiries, 0xff, sizeof expiries);
    expiries[0] = (struct nd_expiry_count){.what = ND_EXPIRY_USED | 1, .count = UINT32_MAX};
    for (int i = 0; i < ND_OPERATIONS; i++)
        memcpy(operations[i], EVIL, sizeof EVIL - 1);
    memcpy(limits[1], EVIL, sizeof EVIL - 1);
    memset(rows, 0x1b, sizeof rows);
    memcpy(rows[0].name, "RECV", 5);
    for (int i = 0; i < 64; i++)
        slots[i] = (struct nd_slot){.tid = (uint32_t)syscall(SYS_gettid),
                                    .sequence = 2,
                                    .fd = i - 3,
                                    .operation = (uint8_t)(i * 4),
                                    .limit = (uint8_t)(i * 4 + 1),
                                    .began = i % 2 ? INT64_MIN : INT64_MAX,
                                    .deadline = i % 3 ? INT64_MAX - 1 : INT64_MIN,
                                    .name = i % 5 ? 0 : (uintptr_t)EVIL,
                                    .frame = (uintptr_t)&word,
                                    .return_to = word};
}

static void *wait_in_slot(void *slot) {
    ((struct nd_slot *)slot)->tid = (uint32_t)syscall(SYS_gettid);
    pause();
    return NULL;
}

/* Records and limits of all the numbers that overflow, of a library of the command's own version. */
static void forge_records(void) {
    static const uint64_t numbers[] = {0,          1,          (uint64_t)INT64_MAX, (uint64_t)INT64_MIN,
                                       UINT64_MAX, 1ULL << 62, 1ULL << 58};
    const struct {
        void *start;
        size_t size;
    } tables[] = {{records, sizeof records}, {profiles, sizeof profiles}, {rows, sizeof rows}, {chunks, sizeof chunks}};
    uint64_t random = 1;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        for (size_t at = 0; at + 8 <= tables[i].size; at += 8) {
            random = random * 6364136223846793005 + 1442695040888963407;
            const uint64_t value = random >> 63 ? random : numbers[(random >> 33) % 7];
            memcpy((char *)tables[i].start + at, &value, 8);
        }
    static const char *const names[] = {"RECV",    "SEND",    "IDLE",      "LIFETIME",
                                        "CONNECT", "UNACKED", "KEEPALIVE", "ACCEPT"};
    for (int i = 0; i < 8; i++)
        strcpy(rows[i].name, names[i]);
    for (int i = 0; i < ND_SOCK_CHUNK; i++)
        records[i].flags |= ND_SOCK_KNOWN;
    for (int i = 0; i < 64; i++) {
        slots[i].fd = i % 8 ? i : 100000 * i;
        slots[i].operation = (uint8_t)(i + 1);
        slots[i].limit = (uint8_t)(i % 12 | (i % 2 ? 0x80 : 0));
        slots[i].tid = 0;
        pthread_create(&(pthread_t){0}, NULL, wait_in_slot, &slots[i]);
    }
    strcpy(netdeadline_state.library, ND_VERSION);
    netdeadline_state.records = (struct nd_state_table)TABLE(records);
    netdeadline_state.chunks = (struct nd_state_table)TABLE(chunks);
    netdeadline_state.profiles = (struct nd_state_table)TABLE(profiles);
}

/* Not evil: each operation by its name, counted thirty times, and the thread in that of the longest name. */
static void fill_with_good(void) {
    int longest = 0;
    memset(operations, 0, sizeof operations);
    memset(counters, 0, sizeof counters);
    memset(expiries, 0, sizeof expiries);
#define ND_OPERATION(name, ...) strcpy(operations[ND_OPERATION_##name], #name);
#include "shim/report/operations.def"
    for (int i = 1; i < ND_OPERATIONS; i++) {
        counters[0][i].buckets[0] = 30;
        longest = strlen(operations[i]) > strlen(operations[longest]) ? i : longest;
    }
    for (int i = 0; i < 64; i++)
        slots[i].operation = (uint8_t)longest;
}

static void *change(void *arg) {
    (void)arg;
    for (uint32_t i = 0;; i++) {
        memset(&slots[i % 64], (int)i, sizeof slots[0]);
        netdeadline_state.slots.count = i * 977;
        netdeadline_state.operations.count = i;
    }
    return NULL;
}

static void spoil(const char *kind) {
    struct nd_state *state = &netdeadline_state;
    struct nd_state_table *tables[] = {&state->operations, &state->limits,   &state->buckets,
                                       &state->slots,      &state->counters, &state->settings,
                                       &state->wish,       &state->watch,    &state->expiries};
    pthread_t thread;
    for (int i = 0; i < 9; i++) {
        if (!strcmp(kind, "counts"))
            tables[i]->count = UINT32_MAX;
        if (!strcmp(kind, "sizes"))
            tables[i]->entry_size = i % 2 ? 0 : UINT32_MAX;
        if (!strcmp(kind, "nowhere"))
            tables[i]->address = i % 2 ? 16 : UINT64_MAX - 8;
    }
    if (!strcmp(kind, "empty"))
        state->operations.count = state->slots.count = state->counters.count = 0;
    if (!strcmp(kind, "shards"))
        state->shards = 0;
    if (!strcmp(kind, "version"))
        state->version = 77;
    if (!strcmp(kind, "magic"))
        memcpy(state->magic, EVIL, sizeof state->magic);
    if (!strcmp(kind, "small"))
        state->size = 8;
    if (!strcmp(kind, "records"))
        forge_records();
    if (!strcmp(kind, "good"))
        fill_with_good();
    if (!strcmp(kind, "changing"))
        pthread_create(&thread, NULL, change, NULL);
}

int main(int argc, char **argv) {
    fill_with_evil();
    spoil(argc > 1 ? argv[1] : "");
    puts("ready");
    fflush(stdout);
    getchar();
    return 0;
}
