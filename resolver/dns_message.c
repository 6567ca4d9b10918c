#include "resolver/dns_message.h"

#include <stdlib.h>
#include <string.h>

#include "resolver/unfinished.h"

struct message {
    struct nd_held held;
    uint8_t bytes[];
};

static void release(struct nd_held *held) {
    free(held);
}

uint8_t *nd_message_new(size_t size) {
    struct message *m = malloc(sizeof *m + size);
    if (!m)
        return NULL;
    m->held.release = release;
    nd_hold(&m->held);
    return m->bytes;
}

uint8_t *nd_message_copy(const uint8_t *bytes, size_t size) {
    uint8_t *copy = nd_message_new(size);
    if (copy)
        memcpy(copy, bytes, size);
    return copy;
}

void nd_message_free(uint8_t *bytes) {
    if (!bytes)
        return;
    struct message *m = (struct message *)(void *)(bytes - offsetof(struct message, bytes));
    nd_drop(&m->held);
    free(m);
}
