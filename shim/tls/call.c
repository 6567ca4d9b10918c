#include "shim/tls/call.h"

#include <errno.h>

#include "base/clock.h"
#include "shim/mode.h"
#include "shim/report/slots.h"
#include "shim/settings/settings.h"
#include "shim/socket/change.h"
#include "shim/socket/discover.h"
#include "shim/socket/ended.h"
#include "shim/socket/limits.h"
#include "shim/socket/profile.h"
#include "shim/tls/established.h"
#include "shim/tls/find_socket.h"
#include "shim/tls/loaded_file.h"
#include "shim/tls/reply.h"

static nd_time limit_of(const struct nd_sock *sock, enum nd_scope_limit limit) {
    switch (limit) {
    case ND_SCOPE_HANDSHAKE:
        return nd_sock_limits(sock)->tls_handshake;
    case ND_SCOPE_SHUTDOWN:
        return nd_sock_limits(sock)->tls_shutdown;
    case ND_SCOPE_RECV:
        return nd_sock_recv_limit(sock);
    default:
        return 0;
    }
}

/* Handshakes and shutdowns have a clock of the connection's, since they may take many calls: it begins with the first. */
static bool has_clock(enum nd_scope_limit limit) {
    return limit == ND_SCOPE_HANDSHAKE || limit == ND_SCOPE_SHUTDOWN;
}

static bool clock_runs(const struct nd_tls_call *call, enum nd_scope_limit limit) {
    return call->sock->operation.timeout &&
           call->sock->operation.limit == nd_scope_limit_name(limit, call->scope.inbound);
}

static void stop_clock(const struct nd_tls_call *call, enum nd_scope_limit limit) {
    if (clock_runs(call, limit))
        nd_sock_end_operation(call->fd, call->sock);
}

/* Puts the call under `limit`. */
static void limit_by(struct nd_tls_call *call, enum nd_scope_limit limit) {
    struct nd_scope *scope = &call->scope;
    nd_time timeout = limit_of(call->sock, limit);
    scope->limit = limit;
    if (timeout && has_clock(limit)) {
        if (!clock_runs(call, limit))
            nd_sock_begin_operation(call->fd, call->sock, scope->operation, nd_scope_limit_name(limit, scope->inbound),
                                    timeout);
        scope->began = call->sock->operation.began;
    } else if (timeout) {
        scope->began = nd_now();
    }
    scope->timeout = timeout;
}

static bool handshaking(const struct nd_tls_call *call) {
    return call->operation->library->handshaking &&
           call->operation->library->handshaking(call->tls, call->scope.object);
}

/* SSL_write is bounded as plain sends are, by progress. */
static enum nd_scope_limit own_limit(const struct nd_tls_call *call) {
    static const enum nd_scope_limit limits[] = {[ND_TLS_SHAKES] = ND_SCOPE_HANDSHAKE,
                                                 [ND_TLS_READS] = ND_SCOPE_RECV,
                                                 [ND_TLS_WRITES] = ND_SCOPE_NONE,
                                                 [ND_TLS_CLOSES] = ND_SCOPE_SHUTDOWN};
    return limits[call->operation->action];
}

/* Whether the object talks through another descriptor than it was found to. */
static bool has_moved(const struct nd_tls_call *call) {
    bool own;
    int fd = call->operation->library->descriptor(call->tls, call->scope.object, &own);
    return fd >= 0 && fd != call->fd;
}

/* A read or write may hide a handshake, at its start (the first on a connection) or on the way (renegotiation), which has a
 * limit of its own; what comes after the handshake has the call's. */
static void update(struct nd_scope *scope) {
    struct nd_tls_call *call = (struct nd_tls_call *)scope;
    if (!call->sock || !call->operation->library->handshaking ||
        (call->operation->action != ND_TLS_READS && call->operation->action != ND_TLS_WRITES))
        return;
    enum nd_scope_limit limit = handshaking(call) ? ND_SCOPE_HANDSHAKE : own_limit(call);
    if (limit == scope->limit || (call->established && limit == ND_SCOPE_HANDSHAKE && has_moved(call)))
        return;
    if (scope->limit == ND_SCOPE_HANDSHAKE)
        stop_clock(call, ND_SCOPE_HANDSHAKE);
    limit_by(call, limit);
}

static bool expects(const struct nd_scope *scope, const void *caller) {
    const struct nd_tls_call *call = (const struct nd_tls_call *)scope;
    struct nd_loaded_file program;
    if (!call->own || nd_tls_contains(call->tls, caller))
        return true;
    /* Another preloaded library (a sanitizer's runtime) may stand between; who called the TLS library must not. */
    return nd_loaded_file_find(call->caller, &program) && !nd_loaded_file_contains(&program, caller);
}

static struct nd_sock *stream(int fd) {
    struct nd_sock *sock = fd >= 0 ? nd_sock_lookup(fd) : NULL;
    if (sock && !(nd_sock_flags(sock) & ND_SOCK_KNOWN))
        sock = nd_sock_discover(fd);
    return sock && (nd_sock_flags(sock) & ND_SOCK_STREAM) ? sock : NULL;
}

static bool is_inbound(const struct nd_sock *sock) {
    return sock && (nd_sock_flags(sock) & ND_SOCK_INBOUND);
}

static bool refuse(int error) {
    errno = error;
    return false;
}

/* A close that never waits for a write in flight: where another thread is stuck in a send on this connection, an alert could
 * only queue behind it, inside an object that is in use. The connection is ended instead, and the write returns. */
static bool cut_stuck_write(const struct nd_tls_call *call) {
    nd_time timeout = limit_of(call->sock, ND_SCOPE_SHUTDOWN);
    if (call->operation->action != ND_TLS_CLOSES || !call->sock->blocked_senders || nd_observing || !timeout)
        return false;
    struct nd_expiry expiry = {.operation = call->scope.operation,
                               .limit = nd_scope_limit_name(ND_SCOPE_SHUTDOWN, call->scope.inbound),
                               .timeout = timeout};
    nd_expire_stream(call->fd, call->sock, &expiry);
    return true;
}

/* Later calls need not ask for the descriptor, and what they do on it is looked at. */
static void remember(const struct nd_tls_call *call) {
    const uint32_t ours = ND_SOCK_SCOPED | ND_SOCK_TLS_OWN, flags = ND_SOCK_SCOPED | (call->own ? ND_SOCK_TLS_OWN : 0);
    struct nd_sock *sock = call->sock;
    const void *const *word = nd_observing ? NULL : nd_tls_method(call->tls, call->scope.object);
    if (!word || sock->tls_word != word || sock->tls_method != *word || sock->tls_functions != call->tls) {
        sock->tls_functions = NULL;
        sock->tls_word = word;
        sock->tls_method = word ? *word : NULL;
        sock->tls_functions = word ? call->tls : NULL;
    }
    nd_tls_socket_found(call->scope.object, call->fd, sock);
    if ((nd_sock_flags(sock) & ours) != flags)
        nd_sock_change(call->fd, sock, flags, ours & ~flags);
}

static void found(struct nd_scope *scope, int fd, struct nd_sock *sock) {
    struct nd_tls_call *call = (struct nd_tls_call *)scope;
    call->fd = fd;
    call->sock = sock;
    remember(call);
    scope->inbound = is_inbound(sock);
    scope->fd = nd_sock_flags(sock) & ND_SOCK_NONBLOCK ? -1 : fd;
    limit_by(call, ND_SCOPE_HANDSHAKE);
}

/* The object's library knows no descriptor. It may have been found in an earlier call; a handshake that begins finds it, or
 * finds it anew: the object may be another one at the same address. */
static void find_socket(struct nd_tls_call *call, enum nd_call operation) {
    const struct nd_limits *inbound = &nd_settings.inbound, *outbound = &nd_settings.outbound;
    struct nd_sock *sock;
    call->fd = nd_tls_socket_of(call->scope.object, &sock);
    call->sock = stream(call->fd);
    call->scope.inbound = is_inbound(call->sock);
    if (call->operation->action != ND_TLS_SHAKES || (call->sock && clock_runs(call, ND_SCOPE_HANDSHAKE)) ||
        (call->operation->library->handshaking && !handshaking(call)))
        return;
    bool serving =
        operation != ND_OPERATION_SSL_connect && call->operation->library->serving(call->tls, call->scope.object);
    if (!(serving ? inbound : outbound)->tls_handshake && nd_profile_shortest == ND_NEVER)
        return; /* sections of the config file may have a limit for the socket that is found */
    if (call->sock)
        call->sock->tls = NULL;
    call->sock = NULL;
    call->scope.fd = ND_SCOPE_FINDS_SOCKET;
    nd_tls_socket_mark_candidates();
}

static bool bounds(struct nd_scope *scope, const void *caller) {
    const struct nd_tls_call *call = (const struct nd_tls_call *)scope;
    if (!expects(scope, caller))
        return false;
    if (!call->established || scope->limit == ND_SCOPE_HANDSHAKE || handshaking(call))
        update(scope);
    return scope->timeout != 0;
}

static const struct nd_scope_kind kind = {update, expects, bounds, found};

/* All but what nd_scope_open sets. */
static void begin_scope(struct nd_scope *scope, const void *object, enum nd_call operation) {
    scope->kind = &kind;
    scope->operation = nd_operation_names[operation];
    scope->object = object;
    scope->fd = -1;
    scope->inbound = scope->fresh = false;
    scope->limit = ND_SCOPE_NONE;
    scope->began = scope->timeout = 0;
}

/* What `netdeadline ps` sees. A call without a deadline is noted where it waits. */
static void note(struct nd_tls_call *call, enum nd_call operation, const uintptr_t *slot) {
    static const enum nd_limit limits[] = {[ND_SCOPE_NONE] = ND_LIMIT_NONE,
                                           [ND_SCOPE_HANDSHAKE] = ND_LIMIT_TLS_HANDSHAKE,
                                           [ND_SCOPE_SHUTDOWN] = ND_LIMIT_TLS_SHUTDOWN,
                                           [ND_SCOPE_RECV] = ND_LIMIT_RECV};
    struct nd_scope *scope = &call->scope;
    call->noted = scope->fd >= 0;
    if (call->noted)
        nd_slot_begin_in(slot, &call->use, operation, scope->fd, scope->began, nd_scope_end(scope),
                         nd_limit_of(call->sock, limits[scope->limit]), NULL);
}

/* RECV, which only a read has that waits. */
static void limit_calm_read(struct nd_tls_call *call) {
    const nd_time timeout = call->scope.fd >= 0 ? limit_of(call->sock, ND_SCOPE_RECV) : 0;
    call->scope.limit = ND_SCOPE_RECV;
    if (!timeout)
        return;
    call->scope.began = nd_now_coarse() + ND_SCOPE_TICK;
    call->scope.timeout = timeout;
    call->scope.fresh = true;
    note(call, call->operation->name, nd_scope_current.slot);
}

void nd_tls_established_make_full(struct nd_tls_call *call) {
    const int fd = nd_scope_current.fd;
    call->caller = (const void *)nd_scope_current.return_to; // NOLINT(performance-no-int-to-ptr)
    call->own = nd_sock_flags(call->sock) & ND_SOCK_TLS_OWN;
    call->open = call->established = true;
    call->unfinished = call->noted = call->ended = false;
    begin_scope(&call->scope, call->scope.object, call->operation->name);
    call->scope.inbound = is_inbound(call->sock);
    call->scope.fd = fd;
    nd_scope_make_full(&call->scope);
    if (call->operation->action == ND_TLS_READS)
        limit_calm_read(call);
}

static void update_calm(struct nd_scope *scope) {
    if (scope->kind == &nd_scope_established)
        nd_tls_established_make_full((struct nd_tls_call *)scope);
    update(scope);
}

static bool expects_calm(const struct nd_scope *scope, const void *caller) {
    if (scope->kind == &nd_scope_established)
        nd_tls_established_make_full((struct nd_tls_call *)(uintptr_t)scope);
    return expects(scope, caller);
}

static bool bounds_calm(struct nd_scope *scope, const void *caller) {
    struct nd_tls_call *call = (struct nd_tls_call *)scope;
    const bool limited = call->operation->action == ND_TLS_READS && limit_of(call->sock, ND_SCOPE_RECV);
    if (!limited && !handshaking(call))
        return false;
    nd_tls_established_make_full(call);
    return bounds(scope, caller);
}

const struct nd_scope_kind nd_scope_established = {update_calm, expects_calm, bounds_calm, found};

void nd_tls_established_settle(struct nd_tls_call *call,
                               bool (*unfinished)(const struct nd_tls_call *call, long result), long result) {
    const int saved = errno;
    if (call->scope.kind == &nd_scope_established) {
        const bool shaking = handshaking(call);
        call->established = false;
        if (!shaking && nd_tls_reply_received(call) && unfinished(call, result))
            nd_tls_keep_reply_pending(call);
        if (!shaking || nd_scope_current.scope != &call->scope)
            return;
        nd_tls_established_make_full(call);
    }
    errno = saved;
    nd_tls_timed_out(call, unfinished(call, result));
}

bool nd_tls_expired(const struct nd_tls_call *call) {
    return call->sock && (nd_sock_flags(call->sock) & ND_SOCK_EXPIRED) && nd_expired(call->fd, call->sock);
}

bool nd_tls_refuses(const struct nd_tls_call *call) {
    if (call->ended)
        nd_expired_fail(call->fd, call->sock, call->operation->action == ND_TLS_WRITES ? ND_OUT : ND_IN);
    return call->ended;
}

/* Begins any other call. Returns false where it is to fail. */
static bool enter(struct nd_tls_call *call, enum nd_call operation) {
    const int saved = errno;
    call->fd = call->operation->library->descriptor(call->tls, call->scope.object, &call->own);
    call->sock = stream(call->fd);
    if (call->fd < 0)
        find_socket(call, operation);
    else if (call->sock)
        remember(call);
    call->scope.inbound = is_inbound(call->sock);
    if (nd_tls_expired(call) || (call->sock && cut_stuck_write(call))) {
        call->ended = true;
        /* A transport of the program's own must see the failure itself: libcurl goes by what its last read gave, and would
         * wait and call again for ever. */
        if (!call->own && !call->sock->blocked_senders) {
            errno = saved;
            return true;
        }
        return !nd_tls_refuses(call);
    }
    if (call->sock)
        limit_by(call,
                 handshaking(call) && call->operation->action != ND_TLS_CLOSES ? ND_SCOPE_HANDSHAKE : own_limit(call));
    errno = saved;
    return true;
}

/* Finds the functions. False where nothing more is to be done, since the call is part of another. */
static bool find_functions(struct nd_tls_call *call, const struct nd_scope *outer) {
    const struct nd_tls_call *around = (const struct nd_tls_call *)outer;
    if (!outer) {
        call->tls = nd_tls_find(call->operation->library->kind, call->caller, call->scope.object, &call->room);
        return call->tls && nd_active;
    }
    call->tls = around->tls; /* the library calls itself by name: where it was found once it is again */
    /* The outermost counts, unless it is a read that has turned into a handshake. */
    return nd_active && around->operation->action != call->operation->action &&
           call->operation->action == ND_TLS_SHAKES;
}

/* Begins a read or write on a connection that is calm, where the thread is in a scope already: a handler's, or one that was left
 * by a jump and is never ended. */
static bool enter_calmly(struct nd_tls_call *call, uintptr_t *slot) {
    if (call->operation->action != ND_TLS_READS && call->operation->action != ND_TLS_WRITES)
        return false;
    call->tls = nd_tls_established_functions(call->scope.object, &call->fd, &call->sock);
    if (!call->tls)
        return false;
    call->own = nd_sock_flags(call->sock) & ND_SOCK_TLS_OWN;
    call->established = call->open = true;
    call->scope.inbound = is_inbound(call->sock);
    call->scope.fd = nd_sock_flags(call->sock) & ND_SOCK_NONBLOCK ? -1 : call->fd;
    nd_scope_open(&call->scope, slot);
    if (call->operation->action == ND_TLS_READS)
        limit_calm_read(call);
    return true;
}

bool nd_tls_enter(struct nd_tls_call *call, const struct nd_tls_operation *operation, const void *object,
                  const void *caller, uintptr_t *slot) {
    const struct nd_scope *outer = nd_scope_around(object);
    call->operation = operation;
    call->caller = caller;
    call->open = call->unfinished = call->noted = call->ended = call->established = call->asks = false;
    begin_scope(&call->scope, object, operation->name);
    if (!outer && enter_calmly(call, slot))
        return true;
    call->tls = NULL;
    call->sock = NULL;
    if (!find_functions(call, outer))
        return call->tls ? true : refuse(ENOSYS);
    if (!enter(call, operation->name))
        return false;
    if (call->ended)
        return true;
    if (call->sock && !(nd_sock_flags(call->sock) & ND_SOCK_NONBLOCK))
        call->scope.fd = call->fd;
    nd_scope_open(&call->scope, slot);
    call->open = true;
    call->asks = call->sock && (nd_sock_flags(call->sock) & ND_SOCK_SENT_LAST);
    if (call->scope.timeout)
        note(call, operation->name, slot);
    return true;
}

bool nd_tls_timed_out(struct nd_tls_call *call, bool unfinished) {
    struct nd_scope *scope = &call->scope;
    call->unfinished = unfinished;
    if (!call->sock || !call->open)
        return false;
    const int saved = errno;
    update(scope);
    if (unfinished && nd_tls_reply_received(call))
        nd_tls_keep_reply_pending(call);
    nd_time now = unfinished && has_clock(scope->limit) ? nd_now() : 0;
    bool late = now >= nd_scope_end(scope) && !nd_observing;
    if (late) {
        struct nd_expiry expiry = nd_scope_expiry(scope, now);
        nd_expire_stream(call->fd, call->sock, &expiry);
    }
    errno = saved;
    return late;
}

void nd_tls_leave_noted(struct nd_tls_call *call) {
    const int saved = errno;
    if (call->sock && nd_observing && call->scope.fd >= 0)
        nd_scope_observe(&call->scope);
    if (call->noted)
        nd_slot_end(&call->use, nd_tls_expired(call) ? ND_SLOT_EXPIRED : ND_SLOT_DONE, nd_now_coarse());
    if (call->sock && has_clock(call->scope.limit) && !call->unfinished) {
        stop_clock(call, call->scope.limit);
        if (call->operation->action == ND_TLS_SHAKES)
            nd_tls_forget_handshake(call);
    }
    nd_scope_close(&call->scope);
    errno = saved;
}
