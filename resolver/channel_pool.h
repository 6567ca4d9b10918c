/* c-ares channels between two exchanges: setting one up costs more than asking a server on loopback (73 KB to clear, in
 * 1.18 also /dev/urandom to open). A few are kept, without sockets, and only those whose exchange ended cleanly. */
#ifndef ND_RESOLVER_CHANNEL_POOL_H
#define ND_RESOLVER_CHANNEL_POOL_H

struct ares_channeldata;

/* One that is kept, or NULL. A forked child gets none of its parent's: 1.34 keeps random bytes for query ids in them. */
struct ares_channeldata *nd_pool_take(void);

/* Keep `channel`, or destroy it. */
void nd_pool_give(struct ares_channeldata *channel);

#endif
