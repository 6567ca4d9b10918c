/* The connections of one network namespace, as guard keeps them from look to look. */
#pragma once

#include "cli/guard_targets.h"
#include "cli/process/judge.h"

/* One connection. */
struct watched {
    uint64_t cookie;
    uint32_t inode;
    uint32_t at;                /* its place in the list that it was found in last */
    uint32_t seen;              /* the number of that look */
    int fd;                     /* the owner's */
    struct guard_target *owner; /* NULL: not known, or none of the processes that are guarded */
    const struct nd_settings *settings;
    struct judge judge;
    nd_time due;            /* when it must be looked at, if nothing moves; ND_NEVER where no limit runs */
    nd_time ask_again;      /* when it is looked again whether anybody waits for its input, where nobody did */
    nd_time spared_until;   /* it could not be ended */
    nd_time observed_moved; /* MODE=observe has reported `observed_limit` of it when bytes had moved last then */
    unsigned observed_limit;
    bool is_prepared;    /* KEEPALIVE's options have been put on it, where they should */
    bool was_looked_for; /* an owner was looked for */
};

struct watch {
    uint64_t namespace;
    int netlink;
    struct watched **slots; /* a hash table by cookie, open addressing; `size` is a power of two */
    size_t size, count;
    struct connection_list list, connecting; /* of the last look at all, and of a later one at what connects */
    struct watched **found;                  /* of the last look, by place in its list */
    size_t found_room;
    uint32_t look;   /* the number of the last look at all */
    size_t present;  /* how many it has found */
    nd_time read_at; /* when the list had been read */
    bool is_used;    /* scratch: a process lives there */
};

/* Finds the connection's entry, or makes one that begins at `now`. NULL without memory. */
struct watched *watch_find(struct watch *watch, const struct connection *connection, nd_time now);

/* Forgets the connections that the last look at all has not found. */
void watch_sweep(struct watch *watch);

/* What the kernel told of it last; NULL where that is known no more. */
struct connection *watch_listed(struct watch *watch, const struct watched *watched);

/* Frees everything and closes its netlink socket. */
void watch_free(struct watch *watch);
