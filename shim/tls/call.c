/* A call of a TLS library: which functions and which socket it has, and what happens when its time is up. */
#include "shim/tls/call.h"

#include "shim/mode.h"
#include "shim/socket/change.h"
#include "shim/socket/discover.h"
#include "shim/socket/ended.h"
#include "shim/tls/call_limit.h"
#include "shim/tls/established.h"
#include "shim/tls/loaded_file.h"
#include "shim/tls/reply.h"

/* Whether the object uses another descriptor than an earlier call found. */
static bool has_moved(const struct nd_tls_call *call) {
    bool own;
    int fd = call->operation->library->descriptor(call->tls, call->scope.object, &own);
    return fd >= 0 && fd != call->fd;
}

/* Sets the limit that holds now: a read or write may make a handshake, at its start (the first one on a connection) or
 * later (renegotiation), which has a limit of its own; after the handshake the limit of the operation holds. */
static void update(struct nd_scope *scope) {
    struct nd_tls_call *call = (struct nd_tls_call *)scope;
    if (call->sock && nd_unlikely(nd_tls_limit_has_changed(call)))
        nd_tls_limit_renew(call);
    if (!call->sock || !call->operation->library->handshaking ||
        (call->operation->action != ND_TLS_READS && call->operation->action != ND_TLS_WRITES))
        return;
    enum nd_limit limit = nd_tls_is_handshaking(call) ? ND_LIMIT_TLS_HANDSHAKE : nd_tls_limit_own(call);
    if (limit == scope->limit || (call->established && limit == ND_LIMIT_TLS_HANDSHAKE && has_moved(call)))
        return;
    if (scope->limit == ND_LIMIT_TLS_HANDSHAKE)
        nd_tls_limit_end(call, ND_LIMIT_TLS_HANDSHAKE);
    nd_tls_limit_set(call, limit);
}

static bool expects(const struct nd_scope *scope, const void *caller) {
    const struct nd_tls_call *call = (const struct nd_tls_call *)scope;
    struct nd_loaded_file program;
    if (!call->own || nd_tls_contains(call->tls, caller))
        return true;
    /* The hook may be called by another preloaded library (a sanitizer's runtime) on behalf of the TLS library; a call
     * from the code that has called the TLS library is the program's own. */
    return nd_loaded_file_find(call->caller, &program) && !nd_loaded_file_contains(&program, caller);
}

static struct nd_sock *find_stream(int fd) {
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

/* Whether another thread is blocked in a send on the connection. One that was cancelled in it, or has left it by a
 * jump, is still counted in the record; the threads' slots tell. */
static bool has_blocked_sender(const struct nd_tls_call *call) {
    if (call->sock->blocked_senders && !nd_slots_sending(call->fd))
        call->sock->blocked_senders = 0;
    return call->sock->blocked_senders != 0;
}

/* Where another thread is blocked in a send on this connection, a TLS shutdown cannot send its alert: that would have
 * to wait for the send, with an object that is in use. Ends the connection instead, so that the send returns; returns
 * whether it has. */
static bool end_blocked_send(const struct nd_tls_call *call) {
    nd_time timeout = nd_tls_limit_of(call->sock, ND_LIMIT_TLS_SHUTDOWN);
    if (call->operation->action != ND_TLS_CLOSES || nd_observing || !timeout || !has_blocked_sender(call))
        return false;
    struct nd_expiry expiry = {.operation = call->scope.operation,
                               .limit = nd_limit_name_on(ND_LIMIT_TLS_SHUTDOWN, call->scope.inbound),
                               .timeout = timeout};
    nd_expire_stream(call->fd, call->sock, &expiry);
    return true;
}

/* Stores what was found in the socket's record: later calls on the object need not search, and those on the descriptor
 * check for a scope. */
static void store_found(const struct nd_tls_call *call) {
    const uint32_t all = ND_SOCK_SCOPED | ND_SOCK_TLS_OWN, flags = ND_SOCK_SCOPED | (call->own ? ND_SOCK_TLS_OWN : 0);
    struct nd_sock *sock = call->sock;
    const void *const *word = nd_observing ? NULL : nd_tls_method(call->tls, call->scope.object);
    if (!word || sock->tls_word != word || sock->tls_method != *word || sock->tls_functions != call->tls) {
        sock->tls_functions = NULL;
        sock->tls_word = word;
        sock->tls_method = word ? *word : NULL;
        sock->tls_functions = word ? call->tls : NULL;
    }
    nd_tls_socket_found(call->scope.object, call->fd, sock);
    if ((nd_sock_flags(sock) & all) != flags)
        nd_sock_change(call->fd, sock, flags, all & ~flags);
}

static void note_ended(struct nd_tls_call *call) {
    call->ended = true;
    call->reported = nd_sock_flags(call->sock) & (ND_SOCK_DELIVERED_IN | ND_SOCK_DELIVERED_OUT);
}

static void found(struct nd_scope *scope, int fd, struct nd_sock *sock) {
    struct nd_tls_call *call = (struct nd_tls_call *)scope;
    call->fd = fd;
    call->sock = sock;
    store_found(call);
    scope->inbound = is_inbound(sock);
    scope->fd = nd_sock_flags(sock) & ND_SOCK_NONBLOCK ? -1 : fd;
    if (nd_tls_expired(call))
        note_ended(call);
    else
        nd_tls_limit_set(call, ND_LIMIT_TLS_HANDSHAKE);
}

/* Called where the object's library knows no descriptor. An earlier call may have found it. A handshake that begins
 * must find it, also where one is known: the object may be another one at the same address. */
static void find_transport(struct nd_tls_call *call, enum nd_call operation) {
    const struct nd_limits *inbound = &nd_settings.inbound, *outbound = &nd_settings.outbound;
    struct nd_sock *sock;
    call->fd = nd_tls_socket_of(call->scope.object, &sock);
    call->sock = find_stream(call->fd);
    call->scope.inbound = is_inbound(call->sock);
    if (call->operation->action != ND_TLS_SHAKES ||
        (call->sock && nd_tls_limit_is_under_way(call, ND_LIMIT_TLS_HANDSHAKE)) ||
        (call->operation->library->handshaking && !nd_tls_is_handshaking(call)))
        return;
    bool serving =
        operation != ND_OPERATION_SSL_connect && call->operation->library->serving(call->tls, call->scope.object);
    if (!(serving ? inbound : outbound)->tls_handshake && (serving || !nd_settings.establish) &&
        nd_profile_shortest == ND_NEVER)
        return; /* else a section of the config file may have a limit for the socket that will be found */
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
    if (!call->established || scope->limit == ND_LIMIT_TLS_HANDSHAKE || nd_tls_limit_has_changed(call) ||
        nd_tls_is_handshaking(call))
        update(scope);
    return scope->timeout != 0;
}

static const struct nd_scope_kind kind = {update, expects, bounds, found};

/* Sets all members but those that nd_scope_open sets. */
static void begin_scope(struct nd_scope *scope, const void *object, enum nd_call operation) {
    scope->kind = &kind;
    scope->operation = nd_operation_names[operation];
    scope->object = object;
    scope->fd = -1;
    scope->inbound = scope->fresh = false;
    scope->limit = ND_LIMIT_NONE;
    scope->began = scope->timeout = 0;
    scope->stands_since = ND_NEVER;
    scope->spans = NULL;
}

/* Takes the slot by which `netdeadline ps` shows the call. A call without a deadline gets one where it waits. */
static void take_slot(struct nd_tls_call *call, enum nd_call operation, const uintptr_t *slot) {
    struct nd_scope *scope = &call->scope;
    const bool establish = scope->spans && nd_scope_is_of_establish(scope->spans);
    call->noted = scope->fd >= 0;
    if (call->noted)
        nd_slot_begin_in(slot, &call->use, operation, scope->fd, establish ? scope->stands_since : scope->began,
                         nd_scope_end(scope), establish ? ND_LIMIT_ESTABLISH : nd_limit_of(call->sock, scope->limit),
                         NULL);
}

/* Bounds a read on an established connection by RECV, if it may wait. */
static void limit_established_read(struct nd_tls_call *call) {
    const nd_time timeout = call->scope.fd >= 0 ? nd_tls_limit_of(call->sock, ND_LIMIT_RECV) : 0;
    call->scope.limit = ND_LIMIT_RECV;
    if (!timeout)
        return;
    call->scope.began = nd_now_coarse() + ND_SCOPE_TICK;
    call->scope.timeout = timeout;
    call->scope.fresh = true;
    nd_scope_stand(&call->scope, call->scope.began);
    take_slot(call, call->operation->name, nd_scope_current.slot);
}

void nd_tls_established_make_full(struct nd_tls_call *call) {
    const int fd = nd_scope_current.fd;
    call->caller = (const void *)nd_scope_current.return_to; // NOLINT(performance-no-int-to-ptr)
    call->own = nd_sock_flags(call->sock) & ND_SOCK_TLS_OWN;
    call->open = call->established = true;
    call->unfinished = call->noted = call->ended = call->reported = false;
    begin_scope(&call->scope, call->scope.object, call->operation->name);
    call->scope.inbound = is_inbound(call->sock);
    call->scope.fd = fd;
    nd_scope_make_full(&call->scope);
    if (call->operation->action == ND_TLS_READS)
        limit_established_read(call);
}

static void update_established(struct nd_scope *scope) {
    if (scope->kind == &nd_scope_established)
        nd_tls_established_make_full((struct nd_tls_call *)scope);
    update(scope);
}

static bool expects_established(const struct nd_scope *scope, const void *caller) {
    if (scope->kind == &nd_scope_established)
        nd_tls_established_make_full((struct nd_tls_call *)(uintptr_t)scope);
    return expects(scope, caller);
}

static bool bounds_established(struct nd_scope *scope, const void *caller) {
    struct nd_tls_call *call = (struct nd_tls_call *)scope;
    const bool limited = call->operation->action == ND_TLS_READS && nd_tls_limit_of(call->sock, ND_LIMIT_RECV);
    if (!limited && !nd_tls_is_handshaking(call))
        return false;
    nd_tls_established_make_full(call);
    return bounds(scope, caller);
}

const struct nd_scope_kind nd_scope_established = {update_established, expects_established, bounds_established, found};

void nd_tls_established_settle(struct nd_tls_call *call,
                               enum nd_tls_outcome (*outcome)(const struct nd_tls_call *call, long result),
                               long result) {
    const int saved = errno;
    if (call->scope.kind == &nd_scope_established) {
        const bool in_handshake = nd_tls_is_handshaking(call);
        call->established = false;
        if (!in_handshake && nd_tls_reply_received(call) && outcome(call, result) != ND_TLS_FINISHED)
            nd_tls_keep_reply_pending(call);
        if (!in_handshake || nd_scope_current.scope != &call->scope)
            return;
        nd_tls_established_make_full(call);
    }
    errno = saved;
    nd_tls_timed_out(call, outcome(call, result));
}

bool nd_tls_expired(const struct nd_tls_call *call) {
    return call->sock && (nd_sock_flags(call->sock) & ND_SOCK_EXPIRED) && nd_expired(call->fd, call->sock);
}

bool nd_tls_refuses(const struct nd_tls_call *call) {
    if (call->ended)
        nd_expired_fail(call->fd, call->sock, call->operation->action == ND_TLS_WRITES ? ND_OUT : ND_IN);
    return call->ended;
}

/* Begins a call that is not on an established connection. Returns false where it must fail. */
static bool enter(struct nd_tls_call *call, enum nd_call operation) {
    const int saved = errno;
    call->fd = call->operation->library->descriptor(call->tls, call->scope.object, &call->own);
    call->sock = find_stream(call->fd);
    if (call->fd < 0)
        find_transport(call, operation);
    else if (call->sock)
        store_found(call);
    call->scope.inbound = is_inbound(call->sock);
    if (nd_tls_expired(call) || (call->sock && end_blocked_send(call))) {
        note_ended(call);
        /* A transport of the program's own must meet the failure itself: libcurl acts on the result of its last read,
         * and would wait and call again without end. */
        if (!call->own && !has_blocked_sender(call)) {
            errno = saved;
            return true;
        }
        return !nd_tls_refuses(call);
    }
    if (call->sock)
        nd_tls_limit_set(call, nd_tls_is_handshaking(call) && call->operation->action != ND_TLS_CLOSES
                                   ? ND_LIMIT_TLS_HANDSHAKE
                                   : nd_tls_limit_own(call));
    errno = saved;
    return true;
}

/* Finds the real functions. Returns false where the call needs no scope, because there are no functions or it is part
 * of another call. */
static bool find_functions(struct nd_tls_call *call, const struct nd_scope *outer) {
    const struct nd_tls_call *around = (const struct nd_tls_call *)outer;
    if (!outer) {
        call->tls = nd_tls_find(call->operation->library->kind, call->caller, call->scope.object, &call->buffer);
        return call->tls && nd_active && !call->operation->library->datagrams(call->tls, call->scope.object);
    }
    call->tls = around->tls; /* the library calls itself by an exported name */
    /* The scope of the outermost call holds, unless that is a read or write which makes a handshake. */
    return nd_active && around->operation->action != call->operation->action &&
           call->operation->action == ND_TLS_SHAKES;
}

/* Begins a read or write on an established connection where the thread is in a scope already: the call is made by a
 * signal handler, or that scope was left by longjmp. Returns false for other calls. */
static bool enter_established(struct nd_tls_call *call, uintptr_t *slot) {
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
        limit_established_read(call);
    return true;
}

bool nd_tls_enter(struct nd_tls_call *call, const struct nd_tls_operation *operation, const void *object,
                  const void *caller, uintptr_t *slot) {
    const struct nd_scope *outer = nd_scope_around(object);
    call->operation = operation;
    call->caller = caller;
    call->open = call->unfinished = call->noted = call->ended = call->reported = call->established = call->asks = false;
    begin_scope(&call->scope, object, operation->name);
    if (!outer && enter_established(call, slot))
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
        take_slot(call, operation->name, slot);
    return true;
}

bool nd_tls_timed_out(struct nd_tls_call *call, enum nd_tls_outcome outcome) {
    struct nd_scope *scope = &call->scope;
    const bool unfinished = outcome != ND_TLS_FINISHED;
    call->unfinished = unfinished;
    if (!call->sock || !call->open || !nd_active)
        return false;
    const int saved = errno;
    update(scope);
    if (unfinished && nd_tls_reply_received(call))
        nd_tls_keep_reply_pending(call);
    nd_time now = unfinished && nd_tls_limit_spans_calls(scope->limit) ? nd_now() : 0;
    if (now)
        nd_scope_run(scope, now);
    if (outcome == ND_TLS_WANTS_PROGRAM && scope->spans)
        scope->spans->paused = now;
    bool is_expired = now >= nd_scope_end(scope) && !nd_observing;
    if (is_expired) {
        struct nd_expiry expiry = nd_scope_expiry(scope, now);
        nd_expire_stream(call->fd, call->sock, &expiry);
    }
    errno = saved;
    return is_expired;
}

void nd_tls_leave_noted(struct nd_tls_call *call) {
    const int saved = errno;
    if (call->sock && nd_observing && call->scope.fd >= 0) {
        nd_scope_run(&call->scope, nd_now());
        nd_scope_observe(&call->scope);
    }
    if (call->noted)
        nd_slot_end(&call->use, nd_tls_expired(call) ? ND_SLOT_EXPIRED : ND_SLOT_DONE, nd_now_coarse());
    if (call->sock && nd_tls_limit_spans_calls(call->scope.limit) && !call->unfinished) {
        nd_tls_limit_end(call, call->scope.limit);
        if (call->operation->action == ND_TLS_SHAKES)
            nd_tls_forget_handshake(call);
    }
    nd_scope_close(&call->scope);
    errno = saved;
}
