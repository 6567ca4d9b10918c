/* The records of descriptors. A record is a hint: programs close and replace descriptors where no hook sees it, so it
 * is checked against the kernel before it changes an outcome (nd_sock_held, nd_expired, nd_tcp_info_read). Everything
 * here is async-signal-safe, lock-free, and keeps errno. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "shim/next.h"
#include "shim/socket/stopwatch.h"
#include "shim/socket/watch.h"

struct nd_tls;

/* A pointer that takes 64 bits in a 32-bit process, too: records have the same layout there, and the command reads
 * them. */
#define ND_WIDE_POINTER(type, name)                                                                                    \
    union {                                                                                                            \
        _Atomic(type) name;                                                                                            \
        uint64_t wide_##name;                                                                                          \
    }

enum nd_sock_flag {
    ND_SOCK_KNOWN = 1 << 0,      /* the record is in use */
    ND_SOCK_STREAM = 1 << 1,     /* SOCK_STREAM or SOCK_SEQPACKET */
    ND_SOCK_INET = 1 << 2,       /* AF_INET or AF_INET6 */
    ND_SOCK_LOCAL = 1 << 3,      /* AF_UNIX */
    ND_SOCK_NONBLOCK = 1 << 4,   /* as far as the hooks saw */
    ND_SOCK_CONNECTING = 1 << 5, /* a non-blocking connect is under way since ->connect_began */
    ND_SOCK_CONNECTED = 1 << 6,
    ND_SOCK_INBOUND = 1 << 7,        /* accepted */
    ND_SOCK_BOUND = 1 << 8,          /* bind() was called */
    ND_SOCK_RCVTIMEO = 1 << 9,       /* the kernel's SO_RCVTIMEO is our RECV; the program's own is in ->own_rcvtimeo */
    ND_SOCK_SNDTIMEO = 1 << 10,      /* the same for SO_SNDTIMEO and SEND */
    ND_SOCK_SYNCNT = 1 << 11,        /* the kernel's TCP_SYNCNT is ours; the former value is in ->own_syncnt */
    ND_SOCK_KEEPALIVE = 1 << 12,     /* the kernel's keepalive is ours; the former values are in ->own_keepalive */
    ND_SOCK_SCOPED = 1 << 13,        /* it has TLS operations (tls/scope.h) */
    ND_SOCK_EXPIRED = 1 << 14,       /* a deadline expired: the stream with inode ->inode is ended */
    ND_SOCK_DELIVERED_IN = 1 << 15,  /* ... and a receiving call has returned ETIMEDOUT */
    ND_SOCK_DELIVERED_OUT = 1 << 16, /* ... and a sending call */
    ND_SOCK_DELIVERED_ERROR = 1 << 17, /* ... and SO_ERROR */
    ND_SOCK_SENT_LAST = 1 << 18,       /* bytes were sent after the last were received, as far as the hooks saw */
    ND_SOCK_EPOLL = 1 << 19,           /* an epoll set: ->epoll */
    ND_SOCK_LISTENING = 1 << 20,
    ND_SOCK_TIMEOUT_PENDING = 1 << 21, /* the next call must report a timeout (limit/pending_timeout.h) */
    ND_SOCK_TLS_OWN = 1 << 22,         /* the TLS library makes the system calls itself */
    ND_SOCK_CARRIED_IN = 1 << 23,      /* receiving calls have waited without result: ->carried_over */
    ND_SOCK_CARRIED_OUT = 1 << 24,     /* and sending calls */
    ND_SOCK_CLIENT = 1 << 25,          /* a datagram socket that was connected, or sent first: it receives replies */
    ND_SOCK_ROLE_UNKNOWN = 1 << 26,    /* ... bound to a port of the kernel's choice, with no datagram so far */
    ND_SOCK_LINGER = 1 << 27,          /* the program has set SO_LINGER: close may wait */
    ND_SOCK_BORROWED = 1 << 28,        /* SO_SNDTIMEO is a call's; the program's own is in ->own_sndtimeo */
    ND_SOCK_LOWAT = 1 << 29,           /* the program has set SO_RCVLOWAT: poll honours it */
    ND_SOCK_TLS_CANDIDATE = 1 << 30,   /* may be the socket of a TLS object that does not show it (tls/find_socket.h) */
    ND_SOCK_HANDED_ON = 1u << 31       /* another program may have it: no timer of ours is set, or relied upon */
};

#define ND_SOCK_MPTCP_PROTOCOL 262 /* IPPROTO_MPTCP, which old headers lack */

enum nd_direction { ND_IN, ND_OUT };

/* The clock of the limits of limit/connection_limits.h. Times are by `time.waited`, but for `established`. */
struct nd_connection_clock {
    struct nd_stopwatch time;
    _Atomic nd_time established;  /* when it was established or discovered; 0: it is not */
    _Atomic nd_time moved;        /* when bytes moved last */
    _Atomic uint64_t moved_bytes; /* bytes that had moved by then */
    _Atomic nd_time window;       /* when MIN_RATE's window began */
    _Atomic nd_time check_at;     /* when MIN_RATE is checked next; 0: after a quarter of the window */
    _Atomic uint64_t bytes;       /* bytes that had moved when the window began */
    _Atomic uint64_t counted;     /* bytes that moved in hooked calls, where the kernel does not count them */
    _Atomic bool counting;
};

/* What calls have waited that returned without moving bytes (limit/carry_over.h): receiving ones `in`; sending ones the
 * members of struct nd_send_space, those that are times as how long ago they were, or -1; a connect `silence`, with a
 * hash of its address in `queued`. */
struct nd_carried_over {
    struct nd_stopwatch in;
    _Atomic nd_time silence, unacked;
    _Atomic uint32_t queued;
};

/* An epoll set that a descriptor is in. */
struct nd_membership {
    _Atomic int set;             /* plus 1; 0 for none */
    _Atomic uint32_t generation; /* the set's */
    _Atomic uint32_t events;     /* that it was registered for; without IN and OUT once a one-shot has been delivered */
    _Atomic uint64_t data;       /* that the program gets with an event */
    _Atomic nd_time seen;        /* the set's `time.waited` up to which the clocks of the socket have run */
    _Atomic uint32_t reading;    /* the set's `reading` when the membership was noted last */
    _Atomic bool shown;          /* a wait has shown the pending timeout since it began or was noted */
};

/* How many sets are noted of a descriptor; being in more is rare. */
#define ND_MEMBERSHIPS 4

/* How many epoll sets in an epoll set are noted. */
#define ND_INNER_SETS 4

#define ND_SEVERAL_THREADS UINT32_MAX

/* The state of an epoll set (wait/epoll_set.h). */
struct nd_epoll {
    struct nd_stopwatch time;
    _Atomic nd_time due;              /* when its sockets are scanned next */
    _Atomic nd_time rescheduled;      /* the shortest time that has put that forward since the last scan; 0: none has */
    _Atomic nd_time cost;             /* how long the last scan took */
    _Atomic nd_time shortest;         /* limit of a socket in it; 0 for none */
    _Atomic nd_time delay;            /* nd_epoll_delay, by those two; 0: to be computed again */
    _Atomic int highest;              /* no socket of the set is above this descriptor */
    _Atomic int inner[ND_INNER_SETS]; /* epoll sets in it, plus 1 */
    _Atomic nd_time scanning;         /* since when a thread scans it; 0: none does */
    _Atomic uint32_t changes;         /* counts events that may have made it timed */
    _Atomic uint32_t thread;          /* that puts sockets into it, if only one does; 0: none yet; ND_SEVERAL_THREADS */
    _Atomic uint32_t rings, reading;  /* nd_sock_uring_changes when it was read from /proc, and how often it was */
    _Atomic bool one_shots, used;     /* one-shot registrations were made; it, or a set in it, has sockets */
    _Atomic bool gone;                /* UNACKED holds for one of them, or of those within */
    _Atomic bool timed;               /* a limit holds for one of its sockets */
    _Atomic uint32_t settings;        /* the nd_settings_generation by which that was computed */
    _Atomic bool nested;              /* there have been sets in it */
    _Atomic bool has_copies;          /* other descriptors of the set have been made */
    _Atomic bool timeout_pending;     /* a socket in it has a pending timeout that may not have been shown */
    _Atomic int copy_of;              /* the descriptor whose record has the state of the set, plus 1; 0: this one */
    _Atomic uint32_t copy_generation; /* of that record */
};

/* An operation of several non-blocking calls (a TLS handshake in an event loop), with one absolute deadline that bounds
 * every wait for the socket. */
struct nd_operation {
    _Atomic nd_time timeout, began; /* a timeout of 0: none is under way */
    _Atomic nd_time paused;         /* since when it waits for the program and not for the network; 0: it does not */
    _Atomic nd_time grace_began;    /* when it expired with unread bytes in the socket; 0: it has not */
    ND_WIDE_POINTER(const char *, name);  /* "SSL_connect": a static string */
    ND_WIDE_POINTER(const char *, limit); /* "TLS_HANDSHAKE": the same */
};

/* The establishment that the last connect was part of (socket/establish.h). */
struct nd_establishing {
    _Atomic nd_time began;       /* its budget; 0: its TLS handshake is over */
    _Atomic uint64_t attempt;    /* which connect under that budget it was */
    _Atomic uint32_t generation; /* of the record: another one says that this is an earlier descriptor's */
    _Atomic uint32_t others;     /* addresses that had not been tried when it began */
    _Atomic int entry;           /* of the budget; -1: it has no name */
    uint32_t unused;
};

/* The command reads records in other processes (cli/process/block.h): those of a library of its own version. */
struct nd_sock {
    _Atomic uint32_t flags;
    _Atomic uint32_t generation; /* changes whenever the descriptor becomes another one */
    _Atomic uint32_t group;      /* of the descriptors of one socket; 0: no other is known */
    _Atomic uint32_t settings;   /* the nd_settings_generation of its timers and watch bits */
    _Atomic uint8_t watch;       /* for descriptors past ND_WATCH_FAST */
    _Atomic uint8_t profile;     /* its limits, where sections of the config file apply; or 0 */
    _Atomic int8_t own_syncnt;
    _Atomic uint8_t protocol;                       /* as far as socket/mptcp.c has asked for it; 0: it has not */
    ND_WIDE_POINTER(const void *, tls);             /* the TLS object on it, or NULL: tls/find_socket.h */
    ND_WIDE_POINTER(const void *const *, tls_word); /* the word in the object that points to its method */
    ND_WIDE_POINTER(const void *, tls_method);      /* what it pointed to */
    ND_WIDE_POINTER(const struct nd_tls *, tls_functions); /* of its library: nd_tls_still */
    struct nd_operation operation;
    _Atomic int own_keepalive[4];               /* SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT */
    _Atomic int64_t own_rcvtimeo, own_sndtimeo; /* microseconds as read back, 0 for none */
    _Atomic int own_marked;  /* the program's value of the option that holds the mark (socket/ended.c) */
    _Atomic int own_rto_max; /* that of TCP_RTO_MAX_MS, where ours stands (socket/retransmit.h), negative where it does
                                until the peer has answered; else 0 */
    _Atomic int rto_max;     /* and ours, in milliseconds as that */
    _Atomic uint64_t inode;
    _Atomic int blocked_senders; /* threads that wait in a sending call for space, and those that left one unseen */
    _Atomic nd_time connect_began;
    struct nd_establishing establish;
    _Atomic bool defers_connects;        /* the program has set TCP_FASTOPEN_CONNECT */
    _Atomic bool deferred;               /* connect has returned, and the first send begins the connection to ->peer */
    struct sockaddr_in6 peer;            /* of a pending connect, or of the last datagram; holds AF_INET too */
    struct nd_wait_clock clock[2];       /* by nd_direction */
    _Atomic nd_time reply_pending_since; /* when bytes were sent first since the last were received */
    _Atomic nd_time received_at; /* of a datagram socket: when one was received or a timeout reported; 0: never */
    struct nd_connection_clock connection_clock;
    _Atomic nd_time gone_check_at; /* when limit/gone.h checks the connection next; 0: not set */
    _Atomic nd_time unacked_since; /* as the last check found it; 0: nothing was outstanding */
    struct nd_carried_over carried_over;
    _Atomic nd_time accepting; /* of a listener: when a thread began to accept (hook/accept.c); 0: none */
    _Atomic uint32_t turns;    /* how many threads began to */
    _Atomic uint32_t shown;    /* how often waits have shown its pending timeout, or one in the set */
    struct nd_membership in[ND_MEMBERSHIPS];
    struct nd_epoll epoll; /* of an ND_SOCK_EPOLL only */
};
_Static_assert(sizeof(((struct nd_sock *)0)->peer) >= sizeof(struct sockaddr_in), "holds AF_INET too");

enum { ND_SOCK_CHUNK = 1024, ND_SOCK_CHUNKS = 1024 };
_Static_assert(ND_SOCK_CHUNKS == (1 << 20) / ND_SOCK_CHUNK, "as many descriptors as the kernel allows by default");

/* The records; in this order, a program with few descriptors writes to one page. */
struct nd_sock_table {
    _Atomic(struct nd_sock *) chunks[ND_SOCK_CHUNKS]; /* of higher descriptors */
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

/* The record of `fd`, created if needed (from descriptor 1024 on that may map memory); NULL without memory or where fd
 * is out of range (negative, 2^20 and above). */
struct nd_sock *nd_sock_get(int fd);

/* The watch bits of `fd`, exactly, for every descriptor. */
static inline unsigned nd_watch_exact(int fd) {
    if (__builtin_expect((unsigned)fd < ND_WATCH_FAST, 1))
        return nd_watch(fd);
    const struct nd_sock *sock = nd_sock_lookup(fd);
    return sock ? atomic_load_explicit(&sock->watch, memory_order_relaxed) : 0;
}

/* The flags of a kind of socket. Internet streams other than TCP have no ND_SOCK_INET and are never bounded: TCP_INFO
 * of an MPTCP socket describes its first subflow. */
uint32_t nd_sock_family(int domain, int type, int protocol);

/* Sets the watch bits of `fd`. Only change.c decides which. */
void nd_watch_set(int fd, struct nd_sock *sock, unsigned watch);

/* The identity of a descriptor over a wait, in which another thread may close it and its number may be reused. (The
 * kernel's own calls hold the file while they wait; ours use the number again.) */
struct nd_sock_hold {
    uint32_t generation;
    uint64_t inode;
};

/* Reads the identity of `fd`: one fstat. */
struct nd_sock_hold nd_sock_take(int fd, const struct nd_sock *sock);

/* Whether `fd` still is that socket. */
bool nd_sock_held(int fd, const struct nd_sock *sock, const struct nd_sock_hold *hold);

/* The inode of the socket behind `fd`; 0 if it is none. */
uint64_t nd_sock_inode(int fd);

/* Whether any descriptor has had a record since all were cleared, and whether waits are to be looked at more closely
 * then: other libraries' functions stand behind the hooks (next.h), and what they call may come back here. */
enum nd_sock_any { ND_SOCK_NONE, ND_SOCK_SOME, ND_SOCK_SOME_WRAPPED };
extern _Atomic uint8_t nd_sock_any __attribute__((visibility("hidden")));

/* Whether a wait that `caller` makes is the program's own call anyway: no descriptor has a record, or a wrapper makes
 * the wait within a call that is bounded already. */
static inline bool nd_sock_none_for(const void *caller) {
    const unsigned any = nd_sock_any;
    return __builtin_expect(any != ND_SOCK_SOME, 0) && (any == ND_SOCK_NONE || nd_next_has(caller));
}

/* No descriptor above this has ever had a record. */
int nd_sock_highest(void);

/* Clears the record of `fd`, which is closed, by the process and table that the record is of. */
void nd_sock_clear(int fd);

/* Clears the record of `fd`, which was found to be another file, unless that is so in another process or table only
 * (owner.h). */
void nd_sock_clear_stale(int fd);

/* Clears all records. */
void nd_sock_clear_all(void);

/* Whether the socket is in an epoll set, as far as noted. */
static inline bool nd_sock_is_in_set(const struct nd_sock *sock) {
    for (int i = 0; i < ND_MEMBERSHIPS; i++)
        if (sock->in[i].set)
            return true;
    return false;
}

static inline uint32_t nd_sock_flags(const struct nd_sock *sock) {
    return atomic_load_explicit(&sock->flags, memory_order_relaxed);
}

/* Notes that bytes were received, or sent. (Of TCP the kernel knows when, but by its tick; the order within one is
 * noted here.) */
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

/* Whether it is a datagram socket of a family that limits hold for. */
static inline bool nd_sock_is_datagram(const struct nd_sock *sock) {
    return (nd_sock_flags(sock) & (ND_SOCK_INET | ND_SOCK_LOCAL)) && !(nd_sock_flags(sock) & ND_SOCK_STREAM);
}
