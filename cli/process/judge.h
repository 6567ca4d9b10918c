/* Decides from outside, by what the kernel tells of a connection, which limit has expired on it. Whether a call of the
 * program waits is not known there, but for a call that is seen to be blocked in the kernel; so each limit holds where
 * the connection itself shows what is waited for. Pure: the clock is the caller's. */
#pragma once

#include "cli/process/connections.h"
#include "shim/limit/send_space.h"
#include "shim/report/operations.h"
#include "shim/settings/settings.h"

/* What is kept of a connection from look to look. Times are by the monotonic clock. */
struct judge {
    bool inbound, connecting;
    bool is_only;    /* set by the caller: the process has no other connection, and is taken to wait for a greeting */
    bool is_ignored; /* set by the caller: nobody wants what may come */
    nd_time awaited; /* set by the caller: nobody did until then */
    nd_time connect_began;
    nd_time established;         /* or first seen */
    nd_time received, requested; /* when bytes last came in, and when bytes were last sent that had not been before */
    nd_time acknowledged;        /* when the peer last took bytes */
    nd_time moved;               /* when bytes last moved in either direction */
    nd_time receiving;           /* since when a call that waits for input has been seen; -1 for none */
    nd_time receiving_seen;      /* when one was looked for last */
    struct nd_send_space space;
    uint64_t bytes_sent, bytes_received, bytes_acked;
    struct { /* MIN_RATE */
        nd_time began;
        uint64_t bytes;
    } window;
};

/* A limit that has expired, or that would be the next to. */
struct verdict {
    unsigned limit; /* enum nd_limit, with ND_LIMIT_INBOUND; ND_LIMIT_NONE where none has expired */
    nd_time timeout, elapsed;
    nd_time due; /* when the connection must be looked at again, if nothing moves; ND_NEVER where no limit runs */
};

/* Begins with a connection that is seen for the first time. What happened before counts as far as the kernel tells. */
void judge_begin(struct judge *judge, const struct connection *connection, nd_time now);

/* Takes what the kernel tells at `now`. */
void judge_look(struct judge *judge, const struct connection *connection, nd_time now);

/* Notes whether a thread of the program is blocked in a call that waits for input of this connection alone. */
void judge_receiving(struct judge *judge, bool is_blocked, nd_time now);

/* Forgets what only frequent looks tell, the pauses of a slow drip and which call it is that waits, where none were made for
 * too long until `now`. */
void judge_resume(struct judge *judge, nd_time now);

/* Decides, after judge_look of the same connection and time. Fills *verdict. Returns whether a limit has expired. */
bool judge_decide(struct judge *judge, const struct connection *connection, const struct nd_settings *settings,
                  nd_time now, struct verdict *verdict);

/* Whether RECV would have expired by its silence, if a call were known to wait for input. */
bool judge_asks_for_calls(const struct judge *judge, const struct connection *connection,
                          const struct nd_settings *settings, nd_time now);

/* Since when a reply (or the first bytes) of the peer has been pending; -1 where it owes none. */
nd_time judge_reply_pending(const struct judge *judge, const struct connection *connection);

/* Whether nothing has moved on a connection that the program has made. */
bool judge_is_untouched(const struct judge *judge);

/* Since when a call has waited for bytes that could come, and none have; -1 where none is seen to. */
nd_time judge_call_pending(const struct judge *judge, const struct connection *connection);

/* Whether something is outstanding that the peer has not acknowledged, and since when at least; -1 for none. */
static inline nd_time judge_unacked(const struct judge *judge) {
    return judge->space.unacked_since;
}

/* "RECV" or "INBOUND_RECV". */
const char *judge_limit_name(unsigned limit);

/* The call that an expiry of the limit is counted and reported under. */
const char *judge_operation(unsigned limit);
