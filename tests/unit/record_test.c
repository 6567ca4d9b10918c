#include "shim/socket/record.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "shim/mode.h"
#include "shim/real.h"
#include "shim/settings/environment.h"
#include "shim/settings/settings.h"
#include "shim/socket/change.h"
#include "shim/socket/duplicates.h"
#include "shim/socket/limits.h"
#include "tests/unit/unit.h"

#define FD 700
#define FAR 100000 /* past the byte array */
#define INET (ND_SOCK_STREAM | ND_SOCK_INET)
#define ALL (ND_WATCH_IN | ND_WATCH_OUT | ND_WATCH_WAIT)
#define ROOM (ND_WATCH_OUT | ND_WATCH_TRY | ND_WATCH_WAIT_OUT)
#define TRIED (ROOM | ND_WATCH_IN) /* blocking calls of both directions are tried first */
#define STRAIGHT (ND_WATCH_TRY | ND_WATCH_NOTE | ND_WATCH_KERNEL_TIMED)

static void start(void) {
    nd_settings_defaults(&nd_settings);
    nd_observing = false;
    nd_find_real();
}

START_TEST(nothing_is_known_at_first) {
    ck_assert_uint_eq(nd_watch(FD), 0);
    ck_assert_uint_eq(nd_watch_exact(FD), 0);
    ck_assert_uint_eq(nd_watch_exact(FAR), 0);
    ck_assert_uint_eq(nd_watch_exact(-1), 0);
}
END_TEST

/* ND_WATCH_GONE is the bit by which a receive takes the fast path where it is watched. */
START_TEST(unacked_hides_nothing_of_what_is_watched) {
    struct nd_sock *sock = nd_sock_created(FD, INET | ND_SOCK_CONNECTED | ND_SOCK_NONBLOCK);
    ck_assert_uint_eq(nd_watch(FD) & (ND_WATCH_IN | ND_WATCH_GONE), ND_WATCH_GONE);
    nd_sock_change(FD, sock, ND_SOCK_EXPIRED, 0);
    ck_assert_uint_eq(nd_watch(FD) & (ND_WATCH_IN | ND_WATCH_GONE), ND_WATCH_IN);
    nd_sock_change(FD, sock, 0, ND_SOCK_EXPIRED);
    nd_settings.outbound.idle = ND_SEC;
    nd_sock_change(FD, sock, 0, 0);
    ck_assert_uint_eq(nd_watch(FD) & (ND_WATCH_IN | ND_WATCH_GONE), ND_WATCH_IN);
}
END_TEST

static const int out_of_range[] = {-1, -1000000, 1 << 20, INT32_MAX};

START_TEST(descriptors_out_of_range_have_no_record) {
    int fd = out_of_range[_i];
    ck_assert_ptr_null(nd_sock_lookup(fd));
    ck_assert_ptr_null(nd_sock_get(fd));
    ck_assert_ptr_null(nd_sock_created(fd, INET));
    nd_sock_clear(fd);
    nd_duplicates_create(FD, fd);
    nd_duplicates_create(fd, FD);
    ck_assert_uint_eq(nd_watch_exact(FD), 0);
}
END_TEST

START_TEST(a_million_descriptors_have_records) {
    errno = 7;
    struct nd_sock *sock = nd_sock_created((1 << 20) - 1, INET | ND_SOCK_CONNECTED);
    ck_assert_ptr_nonnull(sock);
    ck_assert_ptr_eq(nd_sock_lookup((1 << 20) - 1), sock);
    ck_assert_uint_eq(nd_watch_exact((1 << 20) - 1), TRIED);
    ck_assert_uint_eq(nd_watch((1 << 20) - 1), ALL); /* one load cannot tell */
    ck_assert_int_eq(errno, 7);
}
END_TEST

/* flags, recv and send limits in force, what is watched at the defaults otherwise */
static const struct {
    uint32_t flags;
    bool recv, send;
    unsigned watch;
} watching[] = {
    {INET, false, false, 0},
    {INET | ND_SOCK_CONNECTED, false, false, TRIED},
    {INET | ND_SOCK_LISTENING, false, false, 0},
    {INET | ND_SOCK_CONNECTED | ND_SOCK_NONBLOCK, false, false, ND_WATCH_WAIT_OUT | ND_WATCH_GONE},
    {INET | ND_SOCK_CONNECTING | ND_SOCK_NONBLOCK, false, false, ND_WATCH_WAIT},
    {INET | ND_SOCK_CONNECTING, false, false, ALL},
    {INET | ND_SOCK_CONNECTED | ND_SOCK_RCVTIMEO, true, false, ALL | STRAIGHT},
    {INET | ND_SOCK_CONNECTED | ND_SOCK_RCVTIMEO | ND_SOCK_TLS_CANDIDATE, true, false, ALL},
    {INET | ND_SOCK_CONNECTING | ND_SOCK_RCVTIMEO, true, false, ALL},
    {INET | ND_SOCK_CONNECTED | ND_SOCK_NONBLOCK, true, false, (ALL | STRAIGHT) & ~ND_WATCH_TRY},
    {INET | ND_SOCK_CONNECTED | ND_SOCK_KEEPALIVE, false, false, TRIED},
    {INET | ND_SOCK_EXPIRED, false, false, ALL},
    {INET | ND_SOCK_SCOPED, false, false, ND_WATCH_IN | ND_WATCH_SCOPE | ND_WATCH_OUT},
    {ND_SOCK_STREAM | ND_SOCK_LOCAL | ND_SOCK_CONNECTED, false, false, 0},
    {ND_SOCK_STREAM | ND_SOCK_LOCAL | ND_SOCK_CONNECTED, false, true, ROOM},
    {INET | ND_SOCK_CONNECTED | ND_SOCK_SCOPED, false, false, ND_WATCH_IN | ND_WATCH_SCOPE | ROOM},
    {INET | ND_SOCK_CONNECTED | ND_SOCK_SCOPED | ND_SOCK_NONBLOCK, false, false, ND_WATCH_WAIT_OUT | ND_WATCH_GONE},
    {INET | ND_SOCK_CONNECTED | ND_SOCK_SCOPED | ND_SOCK_RCVTIMEO, true, false, ALL | STRAIGHT | ND_WATCH_SCOPE},
    {ND_SOCK_STREAM | ND_SOCK_LOCAL | ND_SOCK_CONNECTED | ND_SOCK_SCOPED, false, false,
     ND_WATCH_IN | ND_WATCH_SCOPE | ND_WATCH_OUT | ND_WATCH_TRY},
    {INET | ND_SOCK_CONNECTED | ND_SOCK_EXPIRED, false, false, ND_WATCH_IN | ND_WATCH_OUT | ND_WATCH_WAIT},
    {INET | ND_SOCK_CONNECTED, true, false, (ALL | STRAIGHT) & ~ND_WATCH_KERNEL_TIMED},
    {ND_SOCK_INET, false, true, 0},
    {ND_SOCK_INET, true, true, ND_WATCH_WAIT_IN | ND_WATCH_IN | ND_WATCH_OUT},
    {ND_SOCK_INET | ND_SOCK_BOUND, true, true, 0},
    {ND_SOCK_INET | ND_SOCK_BOUND | ND_SOCK_ROLE_UNKNOWN, true, true, ND_WATCH_IN | ND_WATCH_OUT},
    {ND_SOCK_INET | ND_SOCK_BOUND | ND_SOCK_ROLE_UNKNOWN, false, true, 0},
    {ND_SOCK_LOCAL, true, true, 0},
    {ND_SOCK_LOCAL | ND_SOCK_BOUND | ND_SOCK_CLIENT, true, true, ND_WATCH_WAIT_IN | ND_WATCH_IN | ND_WATCH_OUT},
};

START_TEST(watches_what_a_limit_bounds) {
    nd_settings.outbound.recv = watching[_i].recv ? ND_SEC : 0;
    nd_settings.outbound.send = watching[_i].send ? ND_SEC : 0;
    nd_sock_created(FD, watching[_i].flags);
    ck_assert_uint_eq(nd_watch(FD), watching[_i].watch);
    nd_sock_created(FAR, watching[_i].flags);
    ck_assert_uint_eq(nd_watch_exact(FAR), watching[_i].watch);
}
END_TEST

START_TEST(each_side_has_its_limits) {
    nd_settings.outbound.recv = ND_SEC;
    nd_settings.inbound.recv = 2 * ND_SEC;
    nd_settings.inbound.send = 3 * ND_SEC;
    struct nd_sock *sock = nd_sock_created(FD, INET | ND_SOCK_CONNECTED);
    ck_assert_int_eq(nd_sock_recv_limit(sock), ND_SEC);
    ck_assert_int_eq(nd_sock_send_limit(sock), 0);
    ck_assert_str_eq(nd_limit_name(sock, ND_LIMIT_RECV), "RECV");
    nd_sock_change(FD, sock, ND_SOCK_INBOUND, 0);
    ck_assert_int_eq(nd_sock_recv_limit(sock), 2 * ND_SEC);
    ck_assert_int_eq(nd_sock_send_limit(sock), 3 * ND_SEC);
    ck_assert_str_eq(nd_limit_name(sock, ND_LIMIT_RECV), "INBOUND_RECV");
}
END_TEST

START_TEST(a_bound_datagram_socket_waits_for_strangers) {
    nd_settings.outbound.recv = nd_settings.outbound.send = ND_SEC;
    struct nd_sock *sock = nd_sock_created(FD, ND_SOCK_INET);
    ck_assert_int_eq(nd_sock_recv_limit(sock), ND_SEC);
    ck_assert_int_eq(nd_sock_send_limit(sock), 0);
    nd_sock_change(FD, sock, ND_SOCK_BOUND, 0);
    ck_assert_int_eq(nd_sock_recv_limit(sock), 0);
}
END_TEST

START_TEST(a_new_socket_knows_nothing_of_the_old) {
    struct nd_sock *sock = nd_sock_created(FD, INET | ND_SOCK_CONNECTED | ND_SOCK_EXPIRED);
    sock->inode = 5;
    sock->own_rcvtimeo = 6;
    sock->connect_began = 7;
    sock->clock[ND_IN].time.waited = sock->clock[ND_OUT].check_at = 8;
    ck_assert_ptr_eq(nd_sock_created(FD, INET), sock);
    ck_assert_uint_eq(nd_sock_flags(sock), INET | ND_SOCK_KNOWN);
    ck_assert_uint_eq(sock->inode, 0);
    ck_assert_int_eq(sock->own_rcvtimeo, 0);
    ck_assert_int_eq(sock->connect_began, 0);
    ck_assert_int_eq(sock->clock[ND_IN].time.waited, 0);
    ck_assert_int_eq(sock->clock[ND_OUT].check_at, 0);
    nd_sock_clear(FD);
    ck_assert_uint_eq(nd_sock_flags(sock), 0);
    ck_assert_uint_eq(nd_watch(FD), 0);
}
END_TEST

START_TEST(a_copy_is_the_same_socket_outside_any_scope) {
    struct nd_sock *from = nd_sock_created(FD, INET | ND_SOCK_CONNECTED | ND_SOCK_EXPIRED | ND_SOCK_SCOPED);
    from->inode = 5;
    from->own_rcvtimeo = 6;
    nd_duplicates_create(FD, FD + 1);
    struct nd_sock *to = nd_sock_lookup(FD + 1);
    ck_assert_uint_eq(nd_sock_flags(to), nd_sock_flags(from) & ~(uint32_t)ND_SOCK_SCOPED);
    ck_assert_uint_eq(to->inode, 5);
    ck_assert_int_eq(to->own_rcvtimeo, 6);
    ck_assert_uint_eq(nd_watch(FD + 1), nd_watch(FD));
}
END_TEST

START_TEST(a_copy_of_something_unknown_is_unknown) {
    nd_sock_clear(FD);
    nd_sock_created(FD + 1, INET | ND_SOCK_CONNECTED);
    nd_duplicates_create(FD, FD + 1);
    ck_assert_uint_eq(nd_watch_exact(FD + 1), 0);
    nd_sock_created(FD, INET | ND_SOCK_CONNECTED);
    nd_duplicates_create(FD, FD); /* dup2 onto itself */
    ck_assert_uint_ne(nd_watch_exact(FD), 0);
}
END_TEST

START_TEST(nothing_is_left_to_look_at) {
    nd_sock_created(FD, INET | ND_SOCK_CONNECTED);
    ck_assert(nd_sock_any);
    nd_sock_clear_all(); /* a filter begins: no hook may ask anything of the kernel any more */
    ck_assert(!nd_sock_any);
    ck_assert_uint_eq(nd_watch(FD), 0);
}
END_TEST

START_TEST(remembers_who_spoke_last) {
    struct nd_sock *sock = nd_sock_created(FD, INET | ND_SOCK_CONNECTED);
    nd_sock_sent(sock);
    ck_assert(nd_sock_flags(sock) & ND_SOCK_SENT_LAST);
    sock->clock[ND_IN].time.waited = 5;
    nd_sock_received(sock);
    ck_assert(!(nd_sock_flags(sock) & ND_SOCK_SENT_LAST));
    ck_assert_int_eq(sock->clock[ND_IN].progress, 5);
}
END_TEST

static void *change_often(void *bit) {
    struct nd_sock *sock = nd_sock_lookup(FD);
    for (int i = 0; i < 20000; i++) {
        nd_sock_change(FD, sock, *(uint32_t *)bit, 0);
        nd_sock_change(FD, sock, 0, *(uint32_t *)bit);
    }
    nd_sock_change(FD, sock, *(uint32_t *)bit, 0);
    return NULL;
}

START_TEST(threads_lose_no_change) {
    uint32_t bits[4] = {ND_SOCK_BOUND, ND_SOCK_INBOUND, ND_SOCK_SENT_LAST, ND_SOCK_DELIVERED_IN};
    pthread_t threads[4];
    struct nd_sock *sock = nd_sock_created(FD, INET | ND_SOCK_CONNECTED);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, change_often, &bits[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    uint32_t all = bits[0] | bits[1] | bits[2] | bits[3];
    ck_assert_uint_eq(nd_sock_flags(sock), all | INET | ND_SOCK_CONNECTED | ND_SOCK_KNOWN);
}
END_TEST

#define RACERS 2
#define RACES 800              /* each for a record nobody has asked for before */
static atomic_int at_the_line; /* a barrier that spins: sleepers would wake one after the other */

static void line_up(int race) {
    atomic_fetch_add(&at_the_line, 1);
    for (int turns = 1; atomic_load(&at_the_line) < RACERS * (race + 1); turns++)
        if (turns % 5000 == 0)
            sched_yield();
}

static void *get_far(void *arg) {
    struct nd_sock **found = arg;
    for (int i = 0; i < RACES; i++) {
        line_up(i);
        found[i] = nd_sock_get(FAR + 1024 * (i + 1));
    }
    return NULL;
}

START_TEST(threads_agree_on_a_record) {
    static struct nd_sock *found[RACERS][RACES];
    pthread_t threads[RACERS];
    for (int i = 0; i < RACERS; i++)
        pthread_create(&threads[i], NULL, get_far, found[i]);
    for (int i = 0; i < RACERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < RACES; i++)
        for (int racer = 0; racer < RACERS; racer++) {
            ck_assert_ptr_nonnull(found[racer][i]);
            ck_assert_ptr_eq(found[racer][i], found[0][i]);
        }
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, nothing_is_known_at_first);
    tcase_add_test(tests, unacked_hides_nothing_of_what_is_watched);
    tcase_add_loop_test(tests, descriptors_out_of_range_have_no_record, 0, COUNT(out_of_range));
    tcase_add_test(tests, a_million_descriptors_have_records);
    tcase_add_loop_test(tests, watches_what_a_limit_bounds, 0, COUNT(watching));
    tcase_add_test(tests, each_side_has_its_limits);
    tcase_add_test(tests, a_bound_datagram_socket_waits_for_strangers);
    tcase_add_test(tests, a_new_socket_knows_nothing_of_the_old);
    tcase_add_test(tests, a_copy_is_the_same_socket_outside_any_scope);
    tcase_add_test(tests, a_copy_of_something_unknown_is_unknown);
    tcase_add_test(tests, nothing_is_left_to_look_at);
    tcase_add_test(tests, remembers_who_spoke_last);
    tcase_add_test(tests, threads_lose_no_change);
    tcase_add_test(tests, threads_agree_on_a_record);
}
