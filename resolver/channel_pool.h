/* A pool of c-ares channels: creating one costs more than a question to a server on loopback (73 KB to clear, and 1.18
 * opens /dev/urandom). It holds a few channels without sockets, only from exchanges that ended cleanly. */
#pragma once

struct ares_channeldata;

/* Returns a channel or NULL. A forked child gets none of its parent's: 1.34 has random bytes for query ids in them. */
struct ares_channeldata *nd_pool_take(void);

/* Puts `channel` into the pool, or destroys it. */
void nd_pool_give(struct ares_channeldata *channel);
