#include "shim/tls/call.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "shim/limit/wait_clock.h"
#include "shim/socket/change.h"
#include "shim/socket/ended.h"
#include "shim/socket/establish.h"
#include "shim/tls/call_fast.h"
#include "shim/tls/innermost.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

#define NOINLINE __attribute__((noinline))

enum { UNFINISHED = -5, ASKS = -6 };

/* A TLS library with one object. Its code is at `text`. */
static const char text[64];
static const void *method = text; /* what the object keeps first */
static struct nd_tls functions;
static struct {
    int descriptor; /* as the library knows it */
    bool own, in_handshake, serving, holding, datagrams, is_missing;
} fake_tls;

static int fd; /* a real socket, since an expiry is remembered by its inode */
static struct nd_sock *sock;

const struct nd_tls *nd_tls_find(enum nd_tls_kind kind, const void *return_address, const void *object,
                                 struct nd_tls *buffer) {
    (void)kind, (void)return_address, (void)object, (void)buffer;
    return fake_tls.is_missing ? NULL : &functions;
}

const void *const *nd_tls_method(const struct nd_tls *tls, const void *object) {
    ck_assert_ptr_eq(tls, &functions);
    return object;
}

static int descriptor(const struct nd_tls *tls, const void *object, bool *own) {
    (void)tls, (void)object;
    *own = fake_tls.own;
    return fake_tls.descriptor;
}

static bool in_handshake(const struct nd_tls *tls, const void *object) {
    (void)tls, (void)object;
    return fake_tls.in_handshake;
}

static bool serving(const struct nd_tls *tls, const void *object) {
    (void)tls, (void)object;
    return fake_tls.serving;
}

static bool holding(const struct nd_tls *tls, const void *object) {
    (void)tls, (void)object;
    return fake_tls.holding;
}

static bool datagrams(const struct nd_tls *tls, const void *object) {
    (void)tls, (void)object;
    return fake_tls.datagrams;
}

static const struct nd_tls_library library = {ND_OPENSSL, descriptor, in_handshake, serving, datagrams, holding};
static const struct nd_tls_operation shake = {&library, ND_OPERATION_SSL_connect, ND_TLS_SHAKES};
static const struct nd_tls_operation reading = {&library, ND_OPERATION_SSL_read, ND_TLS_READS};
static const struct nd_tls_operation writing = {&library, ND_OPERATION_SSL_write, ND_TLS_WRITES};
static const struct nd_tls_operation closing = {&library, ND_OPERATION_SSL_shutdown, ND_TLS_CLOSES};

static void start(void) {
    fake_start();
    memset(&fake_tls, 0, sizeof fake_tls);
    memset(&functions, 0, sizeof functions);
    functions.text[0][0] = (uintptr_t)text;
    functions.text[0][1] = (uintptr_t)text + sizeof text;
    functions.proof = text;
    memcpy(functions.begin, text, sizeof functions.begin);
    nd_active = true;
    fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    sock = nd_sock_created(fd, ND_SOCK_KNOWN | ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED);
    fake_tls.descriptor = fd;
    fake_tls.own = true;
    nd_settings.outbound.tls_handshake = 10 * ND_SEC;
    nd_settings.outbound.tls_shutdown = 5 * ND_SEC;
    nd_settings.outbound.recv = 3 * ND_SEC;
}

static int calls; /* of the library's functions */

static enum nd_tls_outcome outcome(const struct nd_tls_call *call, long result) {
    (void)call;
    return result == UNFINISHED ? ND_TLS_WANTS_NETWORK : result == ASKS ? ND_TLS_WANTS_PROGRAM : ND_TLS_FINISHED;
}

/* A hook, as hook/openssl.c has them. The library's function is body(). */
static NOINLINE int hook(const struct nd_tls_operation *operation, int (*body)(struct nd_tls_call *call)) {
    ND_TLS_CALL(call);
    if (!nd_tls_enter(&call, operation, &method, (void *)&hook, ND_FRAME_SLOT()))
        return -1;
    calls++;
    int result = body(&call);
    if (nd_tls_timed_out(&call, outcome(&call, result))) {
        calls++;
        result = body(&call);
    }
    return call.ended && result >= 0 && nd_tls_refuses(&call) ? -1 : result;
}

/* The fast path of the same. */
static NOINLINE int fast_hook(const struct nd_tls_operation *operation, int (*body)(struct nd_tls_call *call)) {
    struct nd_sock *found;
    int at;
    const struct nd_tls *tls = nd_tls_established_functions(&method, &at, &found);
    ck_assert_ptr_eq(tls, &functions);
    ck_assert(at == fd && found == sock && !nd_scope_current.scope);
    ND_TLS_ESTABLISHED_CALL(call);
    nd_tls_established_open(&call, operation, tls, &method, at, found, ND_FRAME_SLOT());
    int result = body(&call);
    if (result <= 0)
        nd_tls_established_settle(&call, outcome, result);
    return result;
}

static enum nd_limit seen_limit;
static nd_time seen_end;

/* A system call of the library's on the socket: notes what bounds it. */
static NOINLINE int look(struct nd_tls_call *call) {
    const struct nd_scope *scope = nd_scope_bounds(fd, text);
    (void)call;
    seen_limit = scope ? scope->limit : ND_LIMIT_NONE;
    seen_end = nd_scope_end(scope);
    return 1;
}

static int look_unfinished(struct nd_tls_call *call) {
    look(call);
    return UNFINISHED;
}

START_TEST(each_operation_has_its_limit) {
    hook(&reading, look);
    ck_assert(seen_limit == ND_LIMIT_RECV && seen_end == fake.now + 3 * ND_SEC);
    hook(&writing, look);
    ck_assert(seen_limit == ND_LIMIT_NONE && seen_end == ND_NEVER);
    hook(&closing, look);
    ck_assert(seen_limit == ND_LIMIT_TLS_SHUTDOWN && seen_end == fake.now + 5 * ND_SEC);
    fake_tls.in_handshake = true;
    hook(&shake, look);
    ck_assert(seen_limit == ND_LIMIT_TLS_HANDSHAKE && seen_end == fake.now + 10 * ND_SEC);
    ck_assert_ptr_null(nd_scope_current.scope);
    ck_assert_int_eq(calls, 4);
    ck_assert_uint_eq(fake.told, 0);
}
END_TEST

START_TEST(accepted_connections_have_limits_of_their_own) {
    nd_settings.inbound.recv = 7 * ND_SEC;
    nd_sock_change(fd, sock, ND_SOCK_INBOUND, 0);
    hook(&reading, look);
    ck_assert(seen_limit == ND_LIMIT_RECV && seen_end == fake.now + 7 * ND_SEC);
    hook(&closing, look);
    ck_assert(seen_limit == ND_LIMIT_NONE);
}
END_TEST

static int read_in_a_handshake(struct nd_tls_call *call) {
    look(call);
    ck_assert(seen_limit == ND_LIMIT_TLS_HANDSHAKE && seen_end == fake.now + 10 * ND_SEC);
    fake.now += 2 * ND_SEC;
    fake_tls.in_handshake = false;
    look(call);
    return 1;
}

START_TEST(a_read_that_makes_a_handshake_has_that_limit_until_it_is_over) {
    fake_tls.in_handshake = true;
    hook(&reading, read_in_a_handshake);
    ck_assert(seen_limit == ND_LIMIT_RECV && seen_end == fake.now + 3 * ND_SEC);
    ck_assert_int_eq(sock->operation.timeout, 0);
}
END_TEST

static int call_as_the_program(struct nd_tls_call *call) {
    ck_assert_ptr_null(nd_scope_bounds(fd, (void *)&hook));
    return look(call);
}

START_TEST(a_call_of_the_program_from_within_is_not_bounded) {
    hook(&reading, call_as_the_program);
    ck_assert(seen_limit == ND_LIMIT_RECV);
}
END_TEST

/* Calls that do not block: the deadline is the operation's. */
START_TEST(a_handshake_of_many_calls_has_one_deadline) {
    nd_sock_change(fd, sock, ND_SOCK_NONBLOCK, 0);
    fake_tls.in_handshake = true;
    const nd_time began = fake.now;
    ck_assert_int_eq(hook(&shake, look_unfinished), UNFINISHED);
    ck_assert(seen_limit == ND_LIMIT_NONE); /* its calls do not wait */
    fake.now += 6 * ND_SEC;
    ck_assert_int_eq(hook(&shake, look_unfinished), UNFINISHED);
    ck_assert_int_eq(sock->operation.began, began);
    ck_assert_uint_eq(fake.told, 0);
    fake.now += 4 * ND_SEC;
    calls = 0;
    hook(&shake, look_unfinished);
    ck_assert_int_eq(calls, 2); /* once more, so that it fails */
    ck_assert_uint_eq(fake.told, 1);
    ck_assert_str_eq(fake.last.limit, "TLS_HANDSHAKE");
    ck_assert_str_eq(fake.last.operation, "SSL_connect");
    ck_assert_int_eq(fake.last.elapsed, 10 * ND_SEC);
    ck_assert(fake.disconnects > 0 && nd_expired(fd, sock));
}
END_TEST

/* The connection was made under ESTABLISH=12s, whose time began 4 s ago, to an address without a name. */
static void connect_under_establish(void) {
    const struct nd_endpoint_address address = {.port = 443};
    nd_settings.establish = 12 * ND_SEC;
    fake_tls.in_handshake = true;
    nd_establish_attempt(sock, &address, 1, true, fake.now - 4 * ND_SEC);
}

START_TEST(a_handshake_is_the_last_part_of_an_establishment) {
    connect_under_establish();
    hook(&shake, look);
    ck_assert(seen_limit == ND_LIMIT_TLS_HANDSHAKE && seen_end == fake.now + 8 * ND_SEC);
    hook(&shake, look); /* another one */
    ck_assert(seen_limit == ND_LIMIT_TLS_HANDSHAKE && seen_end == fake.now + 10 * ND_SEC);
}
END_TEST

START_TEST(establish_bounds_a_handshake_alone) {
    nd_settings.outbound.tls_handshake = 0;
    connect_under_establish();
    hook(&shake, look);
    ck_assert(seen_limit == ND_LIMIT_TLS_HANDSHAKE && seen_end == fake.now + 8 * ND_SEC);
    hook(&shake, look);
    ck_assert(seen_limit == ND_LIMIT_NONE && seen_end == ND_NEVER);
}
END_TEST

START_TEST(a_sooner_limit_of_the_handshake_holds) {
    nd_settings.outbound.tls_handshake = 7 * ND_SEC;
    connect_under_establish();
    hook(&shake, look);
    ck_assert(seen_end == fake.now + 7 * ND_SEC);
}
END_TEST

START_TEST(a_handshake_after_the_establishment_is_none_of_it) {
    connect_under_establish();
    fake.now += 8 * ND_SEC;
    hook(&shake, look);
    ck_assert(seen_end == fake.now + 10 * ND_SEC);
    connect_under_establish();
    fake.now += 8 * ND_SEC;
    ck_assert_int_eq(hook(&shake, look_unfinished), UNFINISHED);
    ck_assert_int_eq(nd_establish_began(sock), 0); /* nor does its expiry count for the other addresses */
}
END_TEST

START_TEST(an_expired_establishment_is_reported_as_one) {
    connect_under_establish();
    nd_sock_change(fd, sock, ND_SOCK_NONBLOCK, 0);
    ck_assert_int_eq(hook(&shake, look_unfinished), UNFINISHED);
    fake.now += 5 * ND_SEC;
    ck_assert_int_eq(hook(&shake, look_unfinished), UNFINISHED);
    ck_assert_int_eq(nd_wait_clock_due(sock, 0, fake.now), fake.now + 3 * ND_SEC);
    fake.now += 3 * ND_SEC;
    hook(&shake, look_unfinished);
    ck_assert_uint_eq(fake.told, 1);
    ck_assert_str_eq(fake.last.limit, "ESTABLISH");
    ck_assert_int_eq(fake.last.timeout, 12 * ND_SEC);
    ck_assert_int_eq(fake.last.elapsed, 12 * ND_SEC);
}
END_TEST

START_TEST(establish_may_be_switched_off_meanwhile) {
    connect_under_establish();
    nd_sock_change(fd, sock, ND_SOCK_NONBLOCK, 0);
    ck_assert_int_eq(hook(&shake, look_unfinished), UNFINISHED);
    nd_settings.establish = 0;
    ck_assert_int_eq(hook(&shake, look_unfinished), UNFINISHED);
    ck_assert_int_eq(nd_wait_clock_due(sock, 0, fake.now), fake.now + 10 * ND_SEC);
}
END_TEST

/* A callback of the program's takes longer than the limit. */
static int work(struct nd_tls_call *call) {
    fake.now += 12 * ND_SEC;
    return look_unfinished(call);
}

START_TEST(what_is_worked_in_a_call_does_not_count) {
    nd_sock_change(fd, sock, ND_SOCK_NONBLOCK, 0);
    fake_tls.in_handshake = true;
    ck_assert_int_eq(hook(&shake, work), UNFINISHED);
    fake.now += 9 * ND_SEC;
    ck_assert_int_eq(hook(&shake, work), UNFINISHED);
    ck_assert_uint_eq(fake.told, 0);
    fake.now += ND_SEC;
    hook(&shake, look_unfinished);
    ck_assert_uint_eq(fake.told, 1);
    ck_assert_int_eq(fake.last.elapsed, 10 * ND_SEC);
}
END_TEST

static int ask(struct nd_tls_call *call) {
    look(call);
    return ASKS;
}

START_TEST(nor_what_the_program_takes_between_two_calls) {
    nd_settings.outbound.recv = 0;
    nd_sock_change(fd, sock, ND_SOCK_NONBLOCK, 0);
    fake_tls.in_handshake = true;
    ck_assert_int_eq(hook(&shake, look_unfinished), UNFINISHED);
    fake.now += 4 * ND_SEC;
    ck_assert_int_eq(hook(&shake, ask), ASKS);
    ck_assert_int_eq(nd_wait_clock_due(sock, POLLIN, fake.now), ND_NEVER);
    fake.now += 60 * ND_SEC;
    ck_assert_int_eq(hook(&shake, look_unfinished), UNFINISHED);
    ck_assert_uint_eq(fake.told, 0);
    ck_assert_int_eq(nd_wait_clock_due(sock, POLLIN, fake.now), fake.now + 6 * ND_SEC);
}
END_TEST

START_TEST(dtls_is_not_bounded) {
    fake_tls.datagrams = true;
    hook(&shake, look);
    ck_assert(seen_limit == ND_LIMIT_NONE && !sock->operation.timeout);
}
END_TEST

START_TEST(a_finished_handshake_ends_its_deadline) {
    nd_sock_change(fd, sock, ND_SOCK_NONBLOCK, 0);
    fake_tls.in_handshake = true;
    hook(&shake, look_unfinished);
    ck_assert_int_eq(sock->operation.timeout, 10 * ND_SEC);
    nd_sock_sent(sock);
    fake_tls.in_handshake = false;
    ck_assert_int_eq(hook(&shake, look), 1);
    ck_assert_int_eq(sock->operation.timeout, 0);
    ck_assert(!(nd_sock_flags(sock) & ND_SOCK_SENT_LAST)); /* its last message needs no reply */
}
END_TEST

START_TEST(observe_ends_nothing) {
    nd_sock_change(fd, sock, ND_SOCK_NONBLOCK, 0);
    nd_observing = true;
    fake_tls.in_handshake = true;
    hook(&shake, look_unfinished);
    fake.now += 20 * ND_SEC;
    ck_assert_int_eq(hook(&shake, look_unfinished), UNFINISHED);
    ck_assert(fake.disconnects == 0 && !nd_expired(fd, sock));
    ck_assert(calls == 2 && fake.told == 0); /* the call may still succeed */
}
END_TEST

static const struct nd_scope *outer_scope;

static int look_at_nested(struct nd_tls_call *call) {
    const bool is_shake = call->operation->action == ND_TLS_SHAKES;
    ck_assert_int_eq(call->open, is_shake);
    ck_assert((nd_scope_current.scope == outer_scope) == !is_shake);
    return look(call);
}

static int call_within(struct nd_tls_call *call) {
    outer_scope = &call->scope;
    ck_assert_int_eq(hook(&reading, look_at_nested), 1); /* the library calls itself */
    ck_assert_int_eq(hook(&writing, look_at_nested), 1);
    fake_tls.in_handshake = true;
    ck_assert_int_eq(hook(&shake, look_at_nested), 1); /* a read has turned into a handshake */
    ck_assert(seen_limit == ND_LIMIT_TLS_HANDSHAKE);
    fake_tls.in_handshake = false;
    ck_assert_ptr_eq(nd_scope_current.scope, outer_scope);
    return look(call);
}

START_TEST(of_nested_calls_the_outermost_bounds_unless_the_inner_is_a_handshake) {
    hook(&reading, call_within);
    ck_assert(seen_limit == ND_LIMIT_RECV);
    ck_assert_ptr_null(nd_scope_current.scope);
}
END_TEST

/* Makes the connection an established one. */
static void establish(void) {
    sock->settings = nd_settings_generation;
    hook(&writing, look);
}

static int look_established(struct nd_tls_call *call) {
    ck_assert_ptr_eq(call->scope.kind, &nd_scope_established);
    return look(call);
}

START_TEST(on_an_established_connection_a_scope_is_completed_when_it_bounds) {
    establish();
    fast_hook(&writing, look_established);
    ck_assert(seen_limit == ND_LIMIT_NONE);
    fast_hook(&reading, look_established);
    ck_assert(seen_limit == ND_LIMIT_RECV && seen_end == fake.now + ND_SCOPE_TICK + 3 * ND_SEC);
    ck_assert_ptr_null(nd_scope_current.scope);
    nd_settings.outbound.recv = 0;
    fast_hook(&reading, look_established);
    ck_assert(seen_limit == ND_LIMIT_NONE);
}
END_TEST

static int begin_handshake(struct nd_tls_call *call) {
    fake_tls.in_handshake = true;
    return look_unfinished(call);
}

START_TEST(a_renegotiation_ends_the_fast_path) {
    establish();
    ck_assert_int_eq(fast_hook(&reading, begin_handshake), UNFINISHED);
    ck_assert(seen_limit == ND_LIMIT_TLS_HANDSHAKE && seen_end == fake.now + 10 * ND_SEC);
    ck_assert_int_eq(sock->operation.timeout, 10 * ND_SEC);
    struct nd_sock *found;
    int at;
    ck_assert_ptr_null(nd_tls_established_functions(&method, &at, &found));
}
END_TEST

static int fail_in_handshake(struct nd_tls_call *call) {
    (void)call;
    fake_tls.in_handshake = true;
    return UNFINISHED;
}

START_TEST(a_renegotiation_is_bounded_from_the_call_that_began_it) {
    establish();
    ck_assert_int_eq(fast_hook(&reading, fail_in_handshake), UNFINISHED);
    ck_assert_int_eq(sock->operation.timeout, 10 * ND_SEC);
    ck_assert_int_eq(sock->operation.began, fake.now);
    ck_assert_ptr_null(nd_scope_current.scope);
}
END_TEST

static int give_socket_to_another(struct nd_tls_call *call) {
    sock->tls = text;
    return look(call);
}

START_TEST(an_established_scope_is_that_of_the_object_of_its_socket) {
    establish();
    fast_hook(&reading, give_socket_to_another);
    ck_assert(seen_limit == ND_LIMIT_NONE);
}
END_TEST

START_TEST(what_changes_ends_the_fast_path) {
    struct nd_sock *found;
    int at;
    establish();
    ck_assert_ptr_nonnull(nd_tls_established_functions(&method, &at, &found));
    functions.begin[0]++; /* another library at the same address */
    ck_assert_ptr_null(nd_tls_established_functions(&method, &at, &found));
    functions.begin[0]--;
    nd_settings_generation++;
    ck_assert_ptr_null(nd_tls_established_functions(&method, &at, &found));
    sock->settings = nd_settings_generation;
    nd_ended_note(fd, sock);
    ck_assert_ptr_null(nd_tls_established_functions(&method, &at, &found));
}
END_TEST

static int receive_ticket(struct nd_tls_call *call) {
    (void)call;
    nd_sock_received(sock);
    return UNFINISHED;
}

/* A session ticket is no reply; what the library holds may be one. */
START_TEST(a_reply_stays_pending_when_only_the_library_received_something) {
    nd_sock_sent(sock);
    hook(&reading, receive_ticket);
    ck_assert(nd_sock_flags(sock) & ND_SOCK_SENT_LAST);
    establish();
    fast_hook(&reading, receive_ticket);
    ck_assert(nd_sock_flags(sock) & ND_SOCK_SENT_LAST);
    fake_tls.holding = true;
    hook(&reading, receive_ticket);
    ck_assert(!(nd_sock_flags(sock) & ND_SOCK_SENT_LAST));
}
END_TEST

static jmp_buf away;

static int jump(struct nd_tls_call *call) {
    look(call);
    longjmp(away, 1);
}

/* Another call from the same place: it overwrites the frame of the one that was left. */
static NOINLINE int look_outside(const struct nd_tls_operation *operation, int (*body)(struct nd_tls_call *call)) {
    (void)operation;
    int result = body(NULL);
    __asm__ volatile("" ::: "memory"); /* no tail call */
    return result;
}

START_TEST(a_scope_left_by_longjmp_bounds_nothing) {
    if (setjmp(away) == 0)
        hook(&reading, jump);
    ck_assert(seen_limit == ND_LIMIT_RECV);
    look_outside(&reading, look);
    ck_assert(seen_limit == ND_LIMIT_NONE);
    hook(&closing, look); /* and the next operation has its own */
    ck_assert(seen_limit == ND_LIMIT_TLS_SHUTDOWN);
    establish();
    nd_scope_current.scope = NULL;
    if (setjmp(away) == 0)
        fast_hook(&reading, jump);
    look_outside(&reading, look);
    ck_assert(seen_limit == ND_LIMIT_NONE);
}
END_TEST

START_TEST(a_call_on_an_expired_connection_fails) {
    nd_ended_note(fd, sock);
    ck_assert_int_eq(hook(&reading, look), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_int_eq(hook(&reading, look), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    ck_assert_int_eq(hook(&writing, look), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_int_eq(hook(&closing, look), -1);
    ck_assert_int_eq(calls, 0);
}
END_TEST

/* It must meet the failure of its own read; but its result is not taken. */
START_TEST(a_transport_of_the_programs_own_is_called_on_an_expired_connection) {
    fake_tls.own = false;
    nd_ended_note(fd, sock);
    ck_assert_int_eq(hook(&reading, look), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_int_eq(calls, 1);
}
END_TEST

static pthread_barrier_t inside, over;

/* A thread that is inside a send, as far as its slot tells. */
static void *send_blocked(void *unused) {
    struct nd_slot_use use;
    nd_slot_begin(&use, ND_OPERATION_write, fd, nd_now(), ND_NEVER, ND_LIMIT_NONE);
    pthread_barrier_wait(&inside);
    pthread_barrier_wait(&over);
    nd_slot_end(&use, ND_SLOT_DONE, nd_now());
    return unused;
}

START_TEST(a_shutdown_ends_a_send_that_blocks_another_thread) {
    pthread_t thread;
    sock->blocked_senders = 1;
    pthread_barrier_init(&inside, NULL, 2);
    pthread_barrier_init(&over, NULL, 2);
    ck_assert_int_eq(pthread_create(&thread, NULL, send_blocked, NULL), 0);
    pthread_barrier_wait(&inside);
    ck_assert_int_eq(hook(&writing, look), 1);
    ck_assert_int_eq(hook(&closing, look), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_int_eq(calls, 1);
    ck_assert_uint_eq(fake.told, 1);
    ck_assert_str_eq(fake.last.operation, "SSL_shutdown");
    ck_assert_str_eq(fake.last.limit, "TLS_SHUTDOWN");
    ck_assert(fake.disconnects > 0);
    pthread_barrier_wait(&over);
    pthread_join(thread, NULL);
}
END_TEST

/* It was cancelled there, or has jumped out: the shutdown goes its way. */
START_TEST(a_send_that_was_left_is_not_waited_for) {
    sock->blocked_senders = 1;
    ck_assert_int_eq(hook(&closing, look), 1);
    ck_assert_uint_eq(fake.told, 0);
    ck_assert_int_eq(sock->blocked_senders, 0);
}
END_TEST

START_TEST(without_a_limit_a_shutdown_waits_for_the_send) {
    sock->blocked_senders = 1;
    nd_settings.outbound.tls_shutdown = 0;
    ck_assert_int_eq(hook(&closing, look), 1);
    ck_assert_uint_eq(fake.told, 0);
}
END_TEST

static int first_call_on_the_socket(struct nd_tls_call *call) {
    ck_assert(nd_scope_finds_socket());
    ck_assert(nd_sock_flags(sock) & ND_SOCK_TLS_CANDIDATE);
    nd_scope_touched(fd, sock);
    ck_assert(!nd_scope_finds_socket() && !(nd_sock_flags(sock) & ND_SOCK_TLS_CANDIDATE));
    return look(call);
}

START_TEST(a_handshake_finds_the_socket_that_its_library_does_not_know) {
    fake_tls.descriptor = -1;
    fake_tls.own = false;
    fake_tls.in_handshake = true;
    hook(&shake, first_call_on_the_socket);
    ck_assert(seen_limit == ND_LIMIT_TLS_HANDSHAKE && seen_end == fake.now + 10 * ND_SEC);
    fake_tls.in_handshake = false;
    hook(&closing, look); /* later calls know it */
    ck_assert(seen_limit == ND_LIMIT_TLS_SHUTDOWN);
}
END_TEST

START_TEST(a_function_that_no_library_has_is_refused) {
    fake_tls.is_missing = true;
    ck_assert_int_eq(hook(&reading, look), -1);
    ck_assert_int_eq(errno, ENOSYS);
    ck_assert_int_eq(calls, 0);
}
END_TEST

START_TEST(a_process_that_is_left_alone_has_no_scopes) {
    nd_active = false;
    ck_assert_int_eq(hook(&reading, look), 1);
    ck_assert(seen_limit == ND_LIMIT_NONE);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, each_operation_has_its_limit);
    tcase_add_test(tests, accepted_connections_have_limits_of_their_own);
    tcase_add_test(tests, a_read_that_makes_a_handshake_has_that_limit_until_it_is_over);
    tcase_add_test(tests, a_call_of_the_program_from_within_is_not_bounded);
    tcase_add_test(tests, a_handshake_of_many_calls_has_one_deadline);
    tcase_add_test(tests, a_handshake_is_the_last_part_of_an_establishment);
    tcase_add_test(tests, establish_bounds_a_handshake_alone);
    tcase_add_test(tests, a_sooner_limit_of_the_handshake_holds);
    tcase_add_test(tests, a_handshake_after_the_establishment_is_none_of_it);
    tcase_add_test(tests, an_expired_establishment_is_reported_as_one);
    tcase_add_test(tests, establish_may_be_switched_off_meanwhile);
    tcase_add_test(tests, what_is_worked_in_a_call_does_not_count);
    tcase_add_test(tests, nor_what_the_program_takes_between_two_calls);
    tcase_add_test(tests, dtls_is_not_bounded);
    tcase_add_test(tests, a_finished_handshake_ends_its_deadline);
    tcase_add_test(tests, observe_ends_nothing);
    tcase_add_test(tests, of_nested_calls_the_outermost_bounds_unless_the_inner_is_a_handshake);
    tcase_add_test(tests, on_an_established_connection_a_scope_is_completed_when_it_bounds);
    tcase_add_test(tests, a_renegotiation_ends_the_fast_path);
    tcase_add_test(tests, a_renegotiation_is_bounded_from_the_call_that_began_it);
    tcase_add_test(tests, an_established_scope_is_that_of_the_object_of_its_socket);
    tcase_add_test(tests, what_changes_ends_the_fast_path);
    tcase_add_test(tests, a_reply_stays_pending_when_only_the_library_received_something);
    tcase_add_test(tests, a_scope_left_by_longjmp_bounds_nothing);
    tcase_add_test(tests, a_call_on_an_expired_connection_fails);
    tcase_add_test(tests, a_transport_of_the_programs_own_is_called_on_an_expired_connection);
    tcase_add_test(tests, a_shutdown_ends_a_send_that_blocks_another_thread);
    tcase_add_test(tests, a_send_that_was_left_is_not_waited_for);
    tcase_add_test(tests, without_a_limit_a_shutdown_waits_for_the_send);
    tcase_add_test(tests, a_handshake_finds_the_socket_that_its_library_does_not_know);
    tcase_add_test(tests, a_function_that_no_library_has_is_refused);
    tcase_add_test(tests, a_process_that_is_left_alone_has_no_scopes);
}
