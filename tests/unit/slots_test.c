#include "shim/report/slots.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/mode.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

#define NOINLINE __attribute__((noinline))

static struct nd_slot *own_slot(void) {
    uint32_t tid = (uint32_t)syscall(SYS_gettid);
    struct nd_slot *found = NULL;
    for (int i = 0; i < ND_SLOTS; i++)
        if (nd_slots.slot[i].tid == tid) {
            ck_assert_ptr_null(found);
            found = &nd_slots.slot[i];
        }
    return found;
}

static void start(void) {
    fake_start();
    memset(&nd_slots, 0, sizeof nd_slots);
    fake.now = 1000 * ND_SEC;
    nd_observing = false;
}

/* A call that waits, in the course of which inside() happens. */
static NOINLINE void call(enum nd_call operation, int fd, void (*inside)(void), nd_time lasts, enum nd_slot_end how) {
    struct nd_slot_use use;
    nd_slot_begin(&use, operation, fd, fake.now, fake.now + 5 * ND_SEC, ND_LIMIT_RECV);
    if (inside)
        inside();
    fake.now += lasts;
    nd_slot_end(&use, how, fake.now);
}

static void look_at_recv(void) {
    const struct nd_slot *slot = own_slot();
    ck_assert_ptr_nonnull(slot);
    ck_assert_int_eq(slot->operation, ND_OPERATION_recv);
    ck_assert_int_eq(slot->fd, 7);
    ck_assert_int_eq(slot->limit, ND_LIMIT_RECV);
    ck_assert_int_eq(slot->deadline - slot->began, 5 * ND_SEC);
    ck_assert_int_eq(slot->sequence & 1, 0);
    ck_assert_uint_eq(*(const uintptr_t *)(uintptr_t)slot->frame, slot->return_to);
}

START_TEST(a_call_has_a_slot_as_long_as_it_lasts) {
    ck_assert_ptr_null(own_slot());
    call(ND_OPERATION_recv, 7, look_at_recv, 0, ND_SLOT_DONE);
    ck_assert_ptr_null(own_slot());
}
END_TEST

static void be_woken(void) {
    struct nd_slot *slot = own_slot();
    ck_assert(!nd_slots_woken());
    slot->woken = nd_slot_woken_mark(slot->sequence);
    errno = EINTR;
    ck_assert(nd_slots_woken());
    ck_assert_int_eq(errno, EINTR);
    ck_assert(!nd_slots_woken());
}

static void leave_the_mark(void) {
    struct nd_slot *slot = own_slot();
    slot->woken = nd_slot_woken_mark(slot->sequence);
}

static void look_for_a_mark(void) {
    ck_assert(!nd_slots_woken());
}

START_TEST(a_waking_is_told_once_and_to_the_call_that_it_was_for) {
    call(ND_OPERATION_recv, 7, be_woken, 0, ND_SLOT_DONE);
    call(ND_OPERATION_recv, 7, leave_the_mark, 0, ND_SLOT_DONE);
    ck_assert(!nd_slots_woken());
    call(ND_OPERATION_recv, 7, look_for_a_mark, 0, ND_SLOT_DONE);
}
END_TEST

static void call_another(void) {
    call(ND_OPERATION_poll, 9, NULL, 0, ND_SLOT_DONE);
    look_at_recv();
}

START_TEST(a_deadline_can_be_put_off) {
    struct nd_slot_use use;
    nd_slot_begin(&use, ND_OPERATION_getaddrinfo, -1, fake.now, fake.now + 5 * ND_SEC, ND_LIMIT_RESOLVE);
    nd_slot_bound(&use, fake.now + 9 * ND_SEC, ND_LIMIT_SEND);
    ck_assert_int_eq(own_slot()->deadline - own_slot()->began, 9 * ND_SEC);
    ck_assert_int_eq(own_slot()->sequence & 1, 0);
    nd_slot_end(&use, ND_SLOT_DONE, fake.now);
    ck_assert_ptr_null(own_slot());
    use.slot = NULL;
    nd_slot_bound(&use, fake.now, ND_LIMIT_SEND);
}
END_TEST

START_TEST(a_signal_handlers_call_gives_the_slot_back) {
    call(ND_OPERATION_recv, 7, call_another, 0, ND_SLOT_DONE);
    ck_assert_ptr_null(own_slot());
}
END_TEST

static struct nd_counters sum_of(enum nd_call operation) {
    struct nd_counters sum = {0};
    for (int shard = 0; shard < ND_SHARDS; shard++) {
        const struct nd_counters *part = &nd_slots.counters[shard][operation];
        sum.total += part->total;
        sum.longest = part->longest > sum.longest ? part->longest : sum.longest;
        sum.expired += part->expired;
        sum.observed += part->observed;
        sum.quiet += part->quiet;
        for (int i = 0; i <= ND_BUCKETS; i++)
            sum.buckets[i] += part->buckets[i];
    }
    return sum;
}

static uint64_t longest_of(enum nd_call operation) {
    const struct nd_counters sum = sum_of(operation);
    return sum.longest;
}

START_TEST(what_is_counted) {
    call(ND_OPERATION_recv, 7, NULL, 40 * ND_MSEC, ND_SLOT_DONE);
    call(ND_OPERATION_recv, 7, NULL, 50 * ND_MSEC, ND_SLOT_DONE);
    call(ND_OPERATION_recv, 7, NULL, 3 * ND_SEC, ND_SLOT_EXPIRED);
    call(ND_OPERATION_recv, 7, NULL, ND_SEC, ND_SLOT_QUIET);
    call(ND_OPERATION_recv, 7, NULL, 10000 * ND_SEC, ND_SLOT_UNCOUNTED);
    call(ND_OPERATION_send, 7, NULL, 8000 * ND_SEC, ND_SLOT_DONE);
    nd_slots_count_expiry("recv", false);
    nd_slots_count_expiry("recv", true);
    struct nd_counters recv = sum_of(ND_OPERATION_recv), send = sum_of(ND_OPERATION_send);
    ck_assert_uint_eq(recv.buckets[5], 2);
    ck_assert_uint_eq(recv.total, 90 * ND_MSEC);
    ck_assert_uint_eq(recv.longest, 3 * ND_SEC);
    ck_assert_uint_eq(recv.expired, 1);
    ck_assert_uint_eq(recv.observed, 1);
    ck_assert_uint_eq(recv.quiet, 1);
    ck_assert_uint_eq(send.buckets[ND_BUCKETS], 1);
}
END_TEST

START_TEST(without_a_slot_a_call_is_counted_all_the_same) {
    for (int i = 0; i < ND_SLOTS; i++)
        nd_slots.slot[i].tid = (uint32_t)getppid(); /* alive */
    call(ND_OPERATION_recv, 7, NULL, ND_MSEC, ND_SLOT_DONE);
    ck_assert_ptr_null(own_slot());
    ck_assert_uint_eq(sum_of(ND_OPERATION_recv).buckets[0], 1);
}
END_TEST

START_TEST(slots_of_dead_threads_come_back) {
    const uint32_t nobody = 1 << 22; /* above every thread's number */
    for (int i = 0; i < ND_SLOTS; i++)
        nd_slots.slot[i].tid = nobody;
    for (int second = 0; second < 8; second++) { /* so many at a time, once a second */
        call(ND_OPERATION_recv, 7, NULL, 0, ND_SLOT_DONE);
        fake.now += ND_SEC;
    }
    call(ND_OPERATION_recv, 7, look_at_recv, 0, ND_SLOT_DONE);
}
END_TEST

static void fork_inside(void) {
    pid_t child = fork();
    if (child == 0) {
        nd_slots_forked();
        if (own_slot() || longest_of(ND_OPERATION_poll) != 0)
            _exit(1);
        call(ND_OPERATION_recv, 7, look_at_recv, 0, ND_SLOT_DONE);
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
}

START_TEST(a_child_starts_anew) {
    call(ND_OPERATION_poll, 7, NULL, ND_SEC, ND_SLOT_DONE);
    call(ND_OPERATION_recv, 7, fork_inside, 0, ND_SLOT_DONE);
}
END_TEST

START_TEST(a_fork_that_nobody_tells_of_is_noticed) {
    call(ND_OPERATION_poll, 7, NULL, ND_SEC, ND_SLOT_DONE);
    pid_t child = (pid_t)syscall(SYS_fork);
    if (child == 0)
        _exit(nd_slots.process || longest_of(ND_OPERATION_poll) != 0 ? 1 : 0);
    int status = -1;
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* How often the limit has expired, wherever it was set; as INBOUND where that is the prefix. */
static unsigned expiries_of(uint32_t limit, uint32_t observed) {
    unsigned sum = 0;
    for (int i = 0; i < ND_EXPIRY_COUNTS; i++)
        if ((nd_slots.expiries[i].what & 0x1ff) == (limit | observed) && nd_slots.expiries[i].what)
            sum += nd_slots.expiries[i].count;
    return sum;
}

START_TEST(expiries_are_counted_by_limit_and_line) {
    const struct nd_set_where line = {ND_SET_BY_FILE, 7}, other = {ND_SET_BY_FILE, 65535};
    nd_slots_count_expiry("recv", false); /* as each expiry is, before */
    nd_expiries_count("RECV", false, line);
    nd_expiries_count("RECV", false, line);
    nd_expiries_count("RECV", false, other);
    nd_expiries_count("INBOUND_RECV", true, line);
    ck_assert_uint_eq(expiries_of(ND_LIMIT_RECV, 0), 3);
    ck_assert_uint_eq(expiries_of(ND_LIMIT_RECV | ND_LIMIT_INBOUND, ND_EXPIRY_OBSERVED), 1);
    ck_assert_uint_eq(nd_slots.expiries[0].count, 2);
    ck_assert_uint_eq(nd_slots.expiries[0].what >> ND_EXPIRY_LINE_SHIFT, 7);
    ck_assert_uint_eq(nd_slots.expiries[1].what >> ND_EXPIRY_LINE_SHIFT, 65535);
    pid_t child = fork();
    if (child == 0) {
        nd_slots_forked();
        _exit(nd_slots.expiries[0].what || nd_slots.expiries[2].count ? 1 : 0);
    }
    int status;
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(expiries_of_too_many_kinds_are_counted_together) {
    for (uint16_t i = 0; i < 2 * ND_EXPIRY_COUNTS; i++)
        nd_expiries_count("SEND", false, (struct nd_set_where){ND_SET_BY_FILE, (uint16_t)(i + 1)});
    ck_assert_uint_eq(expiries_of(ND_LIMIT_SEND, 0), ND_EXPIRY_COUNTS - 1);
    ck_assert_uint_eq(expiries_of(ND_LIMIT_NONE, 0), ND_EXPIRY_COUNTS + 1);
}
END_TEST

enum { THREADS = 8, CALLS = 20000 };

static void *many_calls(void *arg) {
    (void)arg;
    for (int i = 0; i < CALLS; i++) {
        struct nd_slot_use use;
        nd_slot_begin(&use, ND_OPERATION_recv, i, 1, ND_NEVER, ND_LIMIT_NONE);
        nd_slot_end(&use, ND_SLOT_DONE, 2);
    }
    return NULL;
}

START_TEST(threads_lose_no_count) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, many_calls, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(sum_of(ND_OPERATION_recv).buckets[0], THREADS * CALLS);
    for (int i = 0; i < ND_SLOTS; i++)
        ck_assert_uint_eq(nd_slots.slot[i].tid, 0);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, a_call_has_a_slot_as_long_as_it_lasts);
    tcase_add_test(tests, a_deadline_can_be_put_off);
    tcase_add_test(tests, a_waking_is_told_once_and_to_the_call_that_it_was_for);
    tcase_add_test(tests, a_signal_handlers_call_gives_the_slot_back);
    tcase_add_test(tests, what_is_counted);
    tcase_add_test(tests, without_a_slot_a_call_is_counted_all_the_same);
    tcase_add_test(tests, slots_of_dead_threads_come_back);
    tcase_add_test(tests, a_child_starts_anew);
    tcase_add_test(tests, a_fork_that_nobody_tells_of_is_noticed);
    tcase_add_test(tests, expiries_are_counted_by_limit_and_line);
    tcase_add_test(tests, expiries_of_too_many_kinds_are_counted_together);
    tcase_add_test(tests, threads_lose_no_count);
}
