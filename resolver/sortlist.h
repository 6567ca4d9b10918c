/* resolv.conf's sortlist: the order in which gethostbyname gives the IPv4 addresses that DNS has for a name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/words.h"
#include "resolver/host.h"

struct nd_sortlist {
    struct {
        uint32_t address, mask; /* in host byte order */
    } * entries;
    size_t count;
};

/* Adds the entries of one line, "ADDRESS[/MASK] ...", without its keyword. What cannot be read, or has no memory, is
 * left out. */
void nd_sortlist_read(struct nd_sortlist *list, struct nd_word line);

/* Adds one entry, in host byte order; not where there is no memory. */
void nd_sortlist_add(struct nd_sortlist *list, uint32_t address, uint32_t mask);

/* Whether both have the same entries in the same order. */
bool nd_sortlist_same(const struct nd_sortlist *a, const struct nd_sortlist *b);

/* Frees the entries; the list is empty then. */
void nd_sortlist_free(struct nd_sortlist *list);

/* Sorts the first 48 IPv4 addresses of `host`, as libc does: those of the first entry first, those of none last. */
void nd_sortlist_apply(const struct nd_sortlist *list, struct nd_host *host);
