/* Reads a large hosts file from its beginning to its end, as libc does for every lookup, and keeps nothing of it: the
 * index of a file of 250,000 lines takes 20 MB, and more time than a process that looks up a few names would save. */
#pragma once

#include <stdbool.h>

#include "resolver/hosts_table.h"

struct nd_hosts_scan {
    int fd, error;
    char *buffer;
    size_t capacity, begin, end; /* the bytes not yet looked at are at begin..end */
    bool at_end_of_file;
    struct nd_hosts_table *table; /* of the line that was returned last */
};

/* False: the file cannot be read, see scan->error; nothing is to be closed. Keeps errno, as the others do. */
bool nd_hosts_scan_open(struct nd_hosts_scan *scan, const char *path);
void nd_hosts_scan_close(struct nd_hosts_scan *scan);

/* Returns the next line that has `name`, which is not empty; it is valid until the next call. NULL: there is none, or
 * scan->error is set. */
const struct nd_hosts_line *nd_hosts_scan_name(struct nd_hosts_scan *scan, const char *name);

/* Returns the next line that may have the address, which the caller compares. */
const struct nd_hosts_line *nd_hosts_scan_address(struct nd_hosts_scan *scan, const void *address, int family);
