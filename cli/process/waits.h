/* The descriptors that a call waits for, and for what. */
#pragma once

#include <stddef.h>

#include "cli/process/array.h"

struct waited {
    int fd;
    short wants; /* events of poll(2) */
    int set;     /* the descriptor of the epoll set that it is in, or -1 */
};

struct wait_list {
    struct waited *entries;
    size_t count, room;
};

/* Adds a descriptor. Without memory it is left out. */
static inline void wait_list_add(struct wait_list *list, int fd, short wants, int set) {
    if (array_grow(&list->entries, list->count, &list->room, sizeof *list->entries, 16))
        list->entries[list->count++] = (struct waited){fd, wants, set};
}
