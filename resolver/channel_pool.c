#include "resolver/channel_pool.h"

#include <ares.h>
#include <stddef.h>

#include "resolver/lock.h"

#define POOL_SIZE 8

static struct {
    int lock;
    int owner;
    int count;
    struct ares_channeldata *channels[POOL_SIZE];
} pool;

static void enter_process(void) {
    int self = nd_lock_owner();
    if (pool.owner == self)
        return;
    pool.owner = self;
    pool.count = 0; /* the parent's are leaked: one of its threads may have been using one */
}

struct ares_channeldata *nd_pool_take(void) {
    struct ares_channeldata *channel = NULL;
    if (!nd_lock_try(&pool.lock))
        return NULL;
    enter_process();
    if (pool.count > 0)
        channel = pool.channels[--pool.count];
    nd_unlock(&pool.lock);
    return channel;
}

void nd_pool_give(struct ares_channeldata *channel) {
    if (nd_lock_try(&pool.lock)) {
        enter_process();
        if (pool.count < POOL_SIZE) {
            pool.channels[pool.count++] = channel;
            channel = NULL;
        }
        nd_unlock(&pool.lock);
    }
    if (channel)
        ares_destroy(channel);
}
