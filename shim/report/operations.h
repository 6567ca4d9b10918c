/* The operations that may wait, and the limits that bound them: what is made of operations.def. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum nd_call {
    ND_OPERATION_NONE,
#define ND_OPERATION(name, ...) ND_OPERATION_##name,
#include "shim/report/operations.def"
    ND_OPERATIONS
};

/* A limit, as an operator sets it; ND_LIMIT_INBOUND is added for accepted sockets. */
enum nd_limit {
    ND_LIMIT_NONE, /* or several at once */
#define ND_LIMIT(name) ND_LIMIT_##name,
#include "shim/report/operations.def"
    ND_LIMITS,
    ND_LIMIT_INBOUND = 0x80
};

/* What kind of call an operation is. */
enum nd_family {
    ND_FAMILY_NONE,
    ND_FAMILY_RECEIVE,
    ND_FAMILY_RECEIVE_MESSAGE, /* its messages may bring descriptors */
    ND_FAMILY_SEND,
    ND_FAMILY_SENDFILE,
    ND_FAMILY_SPLICE,
    ND_FAMILY_POLL,
    ND_FAMILY_SELECT,
    ND_FAMILY_EPOLL,
    ND_FAMILY_CONNECT,
    ND_FAMILY_ACCEPT,
    ND_FAMILY_CLOSE,
    ND_FAMILY_TLS_HANDSHAKE,
    ND_FAMILY_TLS_READ,
    ND_FAMILY_TLS_WRITE,
    ND_FAMILY_TLS_SHUTDOWN,
    ND_FAMILY_LOOKUP
};

/* Which way the bytes go that it waits for. */
enum nd_moves { ND_MOVES_NONE, ND_MOVES_IN = 1, ND_MOVES_OUT = 2, ND_MOVES_BOTH = ND_MOVES_IN | ND_MOVES_OUT };

struct nd_operation_row {
    uint8_t family; /* enum nd_family */
    uint8_t limit;  /* enum nd_limit */
    uint8_t moves;  /* enum nd_moves */
};

/* In the order of enum nd_call; ND_OPERATION_NONE has none of all. */
extern const struct nd_operation_row nd_operation_table[ND_OPERATIONS];

#define ND_OPERATION_NAME 32

/* Their names, in the enum's order. Part of what is seen from outside (state.h). */
extern const char nd_operation_names[ND_OPERATIONS][ND_OPERATION_NAME];
extern const char nd_limit_names[ND_LIMITS][ND_OPERATION_NAME];

/* The limits' names with "INBOUND_" before each. */
extern const char nd_inbound_limit_names[ND_LIMITS][ND_OPERATION_NAME];
/* The name of a limit as an operator sets it for one direction: "RECV" or "INBOUND_RECV". */
static inline const char *nd_limit_name_on(enum nd_limit limit, bool inbound) {
    return nd_inbound_limit_names[limit] + (inbound ? 0 : sizeof "INBOUND_" - 1);
}

/* The operation called `name`, or ND_OPERATION_NONE. A search, unless it is nd_operation_names' own text.
 * Async-signal-safe. */
enum nd_call nd_operation_find(const char *name);
