/* What we remember of descriptors. It is a hint: programs close and replace descriptors where no hook sees it, so it is
 * checked against the kernel before it changes an outcome (nd_sock_is_gone, limit/expiry.h). Everything here is
 * async-signal-safe, lock-free, and keeps errno where it does not say otherwise. */
#ifndef ND_SOCKET_RECORD_H
#define ND_SOCKET_RECORD_H

#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "shim/socket/stopwatch.h"
#include "shim/socket/watch.h"

struct nd_tls;

enum nd_sock_flag {
    ND_SOCK_KNOWN = 1 << 0,      /* a socket whose birth we saw */
    ND_SOCK_STREAM = 1 << 1,     /* SOCK_STREAM or SOCK_SEQPACKET */
    ND_SOCK_INET = 1 << 2,       /* AF_INET or AF_INET6 */
    ND_SOCK_LOCAL = 1 << 3,      /* AF_UNIX */
    ND_SOCK_NONBLOCK = 1 << 4,   /* as far as we saw */
    ND_SOCK_CONNECTING = 1 << 5, /* a non-blocking connect is under way since ->connect_began */
    ND_SOCK_CONNECTED = 1 << 6,
    ND_SOCK_INBOUND = 1 << 7,    /* accepted */
    ND_SOCK_BOUND = 1 << 8,      /* bind() was called */
    ND_SOCK_RCVTIMEO = 1 << 9,   /* the kernel's SO_RCVTIMEO is our RECV, the program's own stands in ->own_rcvtimeo */
    ND_SOCK_SNDTIMEO = 1 << 10,  /* the same for SO_SNDTIMEO and SEND */
    ND_SOCK_SYNCNT = 1 << 11,    /* the kernel's TCP_SYNCNT is ours, what it was stands in ->own_syncnt */
    ND_SOCK_KEEPALIVE = 1 << 12, /* the kernel's keepalive is ours, ->own_keepalive holds what it was */
    ND_SOCK_SCOPED = 1 << 13,    /* TLS operations are made on it (tls/scope.h) */
    ND_SOCK_EXPIRED = 1 << 14,   /* a deadline fired: the stream with inode ->inode is finished */
    ND_SOCK_DELIVERED_IN = 1 << 15,    /* ... and a receiving call has given ETIMEDOUT */
    ND_SOCK_DELIVERED_OUT = 1 << 16,   /* ... and a sending call */
    ND_SOCK_DELIVERED_ERROR = 1 << 17, /* ... and SO_ERROR */
    ND_SOCK_SENT_LAST = 1 << 18,       /* bytes went out after the last ones came in, as far as we saw */
    ND_SOCK_EPOLL = 1 << 19,           /* no socket, but an epoll set: ->epoll */
    ND_SOCK_LISTENING = 1 << 20,
    ND_SOCK_TIMEOUT_PENDING =
        1 << 21, /* a deadline fired on what is not ended: the next call says so (limit/pending_timeout.h) */
    ND_SOCK_TLS_OWN = 1 << 22,      /* the TLS library makes the system calls itself */
    ND_SOCK_CARRIED_IN = 1 << 23,   /* receiving calls have waited in vain: ->carried_over */
    ND_SOCK_CARRIED_OUT = 1 << 24,  /* and sending calls */
    ND_SOCK_CLIENT = 1 << 25,       /* a datagram socket that was connected, or spoke first: what comes are answers */
    ND_SOCK_ROLE_UNKNOWN = 1 << 26, /* one bound to a port of the kernel's choice, on which nobody has spoken yet */
    ND_SOCK_LINGER = 1 << 27,       /* the program has set SO_LINGER: close may wait */
    ND_SOCK_BORROWED = 1 << 28,     /* SO_SNDTIMEO is a call's; the program's own stands in ->own_sndtimeo */
    ND_SOCK_LOWAT = 1 << 29,        /* the program has set SO_RCVLOWAT: poll knows when there is enough */
    ND_SOCK_TLS_CANDIDATE =
        1 << 30 /* may be what a TLS operation talks through, whose library does not say: tls/find_socket.h */
};

enum nd_direction { ND_IN, ND_OUT };

/* What limits a connection whichever way it is waited for (limit/connection_limits.h). Times are in `waited` but for `born`. */
struct nd_connection_clock {
    struct nd_stopwatch time;
    _Atomic nd_time established;  /* when the connection came about, or we learned of it; 0: it has not */
    _Atomic nd_time moved;        /* when bytes moved last, as far as known */
    _Atomic uint64_t moved_bytes; /* bytes that had moved by then */
    _Atomic nd_time window;       /* when MIN_RATE's window began */
    _Atomic nd_time check_at;     /* when to look next how much it has moved; 0: a quarter of the window */
    _Atomic uint64_t bytes;       /* bytes that had moved when the window began */
    _Atomic uint64_t counted;     /* bytes that moved in calls we saw, where the kernel does not count them */
    _Atomic bool counting;
};

/* What calls have waited that came back with nothing (limit/carry_over.h). */
struct nd_carried_over {
    struct nd_stopwatch in;
    _Atomic nd_time silence,
        unacked; /* sending calls': how long ago struct nd_send_space's progress and unacked_since were; or -1 */
    _Atomic uint32_t queued; /* struct nd_send_space's. A connect has waited for `silence`; this tells its address */
};

/* An epoll set that a descriptor is in. */
struct nd_membership {
    _Atomic int set;             /* plus 1; 0 for none */
    _Atomic uint32_t generation; /* the set's */
    _Atomic uint32_t events;     /* what it is waited for; without IN and OUT once a one-shot has been delivered */
    _Atomic uint64_t data;       /* what the program gets with an event */
    _Atomic nd_time seen;        /* the set's `waited` that the clocks hold */
    _Atomic uint32_t reading;    /* the set's, when it was noted last */
    _Atomic bool shown;          /* as late, since it became that or was noted */
};

/* The sets that are noted of a descriptor; being in more is rare. */
#define ND_MEMBERSHIPS 4

/* The epoll sets in an epoll set that are noted. */
#define ND_INNER_SETS 4

#define ND_SEVERAL_THREADS UINT32_MAX

/* What is known of an epoll set (wait/epoll_set.h). */
struct nd_epoll {
    struct nd_stopwatch time;
    _Atomic nd_time due;         /* when its sockets are to be looked through */
    _Atomic nd_time rescheduled; /* the shortest time by which that was brought near since they were; 0: it was not */
    _Atomic nd_time cost;        /* how long that took last */
    _Atomic nd_time shortest;    /* limit of a socket in it; 0 for none */
    _Atomic nd_time delay;       /* nd_epoll_delay, by those two; 0: to be found anew */
    _Atomic int highest;         /* no socket of the set is above this descriptor */
    _Atomic int inner[ND_INNER_SETS]; /* epoll sets in it, plus 1 */
    _Atomic nd_time scanning;         /* since when a thread looks through it; 0: none does */
    _Atomic uint32_t changes;         /* what may have made it timed */
    _Atomic uint32_t thread;          /* the only one that puts sockets into it; 0: none yet; ND_SEVERAL_THREADS */
    _Atomic uint32_t rings, reading;  /* the nd_sock_uring_changes it was read at, and how often it was */
    _Atomic bool one_shots, used;     /* one-shot registrations were made; there are sockets in it, or in inner sets */
    _Atomic bool timed;               /* a limit holds for one of them, as it is waited for */
    _Atomic uint32_t settings;        /* the nd_settings_generation by which that was found out */
    _Atomic bool nested;              /* there have been sets in it */
    _Atomic bool has_copies;          /* other descriptors of the set have been made */
    _Atomic bool timeout_pending;     /* a socket in it has become late, and may not have been shown yet */
    _Atomic int copy_of;              /* the descriptor whose record says all this of the set, plus 1; 0 for this one */
    _Atomic uint32_t copy_generation; /* its */
};

/* An operation that takes several calls which do not block (a TLS handshake in an event loop): one absolute deadline, kept by
 * every wait for the socket. */
struct nd_operation {
    _Atomic nd_time timeout, began;    /* a timeout of 0: none is under way */
    _Atomic nd_time grace_began;       /* when its time was up with bytes there that nobody had read; 0: it was not */
    _Atomic(const char *) name, limit; /* "SSL_connect", "TLS_HANDSHAKE": static strings */
};

struct nd_sock {
    _Atomic uint32_t flags;
    _Atomic uint32_t generation; /* changes whenever the descriptor becomes another one */
    _Atomic uint32_t group;      /* of descriptors that are one socket, as far as we saw; 0: there are no others */
    _Atomic uint32_t settings;   /* the nd_settings_generation that its timers and watch bits are made from */
    _Atomic uint8_t watch;       /* for descriptors past ND_WATCH_FAST */
    _Atomic uint8_t profile;     /* its limits, where the config file has a section for the other side; or 0 */
    _Atomic int8_t own_syncnt;
    _Atomic(const void *) tls;             /* the TLS object that talks through it, or NULL: tls/find_socket.h */
    _Atomic(const void *const *) tls_word; /* in the object: its method, and what that was */
    _Atomic(const void *) tls_method;
    _Atomic(const struct nd_tls *) tls_functions; /* the functions for it: nd_tls_still */
    struct nd_operation operation;
    _Atomic int own_keepalive[4];               /* SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT */
    _Atomic int64_t own_rcvtimeo, own_sndtimeo; /* microseconds as read back, 0 for none */
    _Atomic int own_marked; /* what the program had where an expiry left its mark (limit/expiry.c) */
    _Atomic uint64_t inode;
    _Atomic int blocked_senders; /* threads that wait in a sending call for room */
    _Atomic nd_time connect_began;
    struct sockaddr_in6
        peer; /* of a connect under way, or a datagram's, which the kernel does not tell; AF_INET fits too */
    struct nd_wait_clock clock[2];       /* by nd_direction */
    _Atomic nd_time reply_pending_since; /* when bytes went out first since some came in last, as far as we saw */
    _Atomic nd_time received_at; /* of a datagram socket: when one came in, or a call said that none did; 0: never */
    struct nd_connection_clock connection_clock;
    struct nd_carried_over carried_over;
    _Atomic nd_time accepting; /* of a listener: when a thread took its turn to accept (hook/accept.c); 0: nobody has */
    _Atomic uint32_t turns;    /* that were taken */
    _Atomic uint32_t
        shown; /* how often a wait has shown that it is late, or that something in the set is (limit/pending_timeout.h) */
    struct nd_membership in[ND_MEMBERSHIPS];
    struct nd_epoll epoll; /* of an ND_SOCK_EPOLL */
};

enum { ND_SOCK_CHUNK = 1024, ND_SOCK_CHUNKS = 1024 };

/* The records. In this order, so that a program with few descriptors writes to one page. */
struct nd_sock_table {
    _Atomic(struct nd_sock *) chunks[ND_SOCK_CHUNKS]; /* but for the first */
    _Atomic int highest;
    struct nd_sock first_chunk[ND_SOCK_CHUNK];
};
extern struct nd_sock_table nd_sock_table __attribute__((visibility("hidden")));

/* The record of `fd`, or NULL where there is none yet. */
static inline struct nd_sock *nd_sock_lookup(int fd) {
    const unsigned number = (unsigned)fd;
    if (__builtin_expect(number < ND_SOCK_CHUNK, 1))
        return &nd_sock_table.first_chunk[number];
    if (number >= ND_SOCK_CHUNK * ND_SOCK_CHUNKS)
        return NULL;
    struct nd_sock *chunk = atomic_load_explicit(&nd_sock_table.chunks[number / ND_SOCK_CHUNK], memory_order_acquire);
    return chunk ? &chunk[number % ND_SOCK_CHUNK] : NULL;
}

/* The record of `fd`, made if needed (beyond descriptor 1023 that may map memory); NULL when there is no memory or fd is out
 * of range (negative, above 2^20). */
struct nd_sock *nd_sock_get(int fd);

/* The watch bits of `fd`, exactly, for every descriptor. */
static inline unsigned nd_watch_exact(int fd) {
    if (__builtin_expect((unsigned)fd < ND_WATCH_FAST, 1))
        return nd_watch(fd);
    const struct nd_sock *sock = nd_sock_lookup(fd);
    return sock ? atomic_load_explicit(&sock->watch, memory_order_relaxed) : 0;
}

/* The flags that say what kind of socket it is. Streams of the internet other than TCP are left alone (no ND_SOCK_INET): what
 * TCP_INFO says of MPTCP is its first subflow's. */
uint32_t nd_sock_family(int domain, int type, int protocol);

/* Sets the watch bits of `fd`. Only change.c decides which. */
void nd_watch_set(int fd, struct nd_sock *sock, unsigned watch);

/* What a call that is about to wait holds on to: while it waits, another thread may close the descriptor, and the number be
 * given to a stranger. (The kernel's own waiting calls hold the file; ours comes back to the number.) */
struct nd_sock_hold {
    uint32_t generation;
    uint64_t inode;
};

/* Takes hold of `fd`: one fstat. Keeps errno. */
struct nd_sock_hold nd_sock_take(int fd, const struct nd_sock *sock);

/* Whether `fd` is still what was held. Keeps errno. */
bool nd_sock_held(int fd, const struct nd_sock *sock, const struct nd_sock_hold *hold);

/* The inode of the socket behind `fd`, 0 if it is none. Keeps errno. */
uint64_t nd_sock_inode(int fd);

/* Whether any descriptor has had a record, since all were forgotten last. */
extern _Atomic bool nd_sock_any __attribute__((visibility("hidden")));

/* No descriptor above this has ever had a record. */
int nd_sock_highest(void);

/* Forgets `fd`. */
void nd_sock_clear(int fd);

/* Forgets every descriptor. */
void nd_sock_clear_all(void);

/* Whether the socket is in an epoll set that is noted. */
static inline bool nd_sock_is_in_set(const struct nd_sock *sock) {
    for (int i = 0; i < ND_MEMBERSHIPS; i++)
        if (sock->in[i].set)
            return true;
    return false;
}

static inline uint32_t nd_sock_flags(const struct nd_sock *sock) {
    return atomic_load_explicit(&sock->flags, memory_order_relaxed);
}

/* Bytes came in, or went out. (Of TCP the kernel knows when, but only by its tick: what lies within one is ordered here.) */
static inline void nd_sock_received(struct nd_sock *sock) {
    struct nd_wait_clock *in = &sock->clock[ND_IN];
    nd_time waited = atomic_load_explicit(&in->time.waited, memory_order_relaxed);
    atomic_store_explicit(&in->progress, waited, memory_order_relaxed);
    if (nd_sock_flags(sock) & ND_SOCK_SENT_LAST)
        atomic_fetch_and_explicit(&sock->flags, ~(uint32_t)ND_SOCK_SENT_LAST, memory_order_relaxed);
}

static inline void nd_sock_sent(struct nd_sock *sock) {
    if (nd_sock_flags(sock) & ND_SOCK_SENT_LAST)
        return;
    atomic_store_explicit(&sock->reply_pending_since, nd_now_coarse(), memory_order_relaxed);
    atomic_fetch_or_explicit(&sock->flags, ND_SOCK_SENT_LAST, memory_order_relaxed);
}

/* Whether it is a datagram socket of the kinds we bound. */
static inline bool nd_sock_is_datagram(const struct nd_sock *sock) {
    return (nd_sock_flags(sock) & (ND_SOCK_INET | ND_SOCK_LOCAL)) && !(nd_sock_flags(sock) & ND_SOCK_STREAM);
}

#endif
