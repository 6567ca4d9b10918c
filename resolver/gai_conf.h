/* /etc/gai.conf: the tables by which getaddrinfo sorts addresses, read as glibc reads them: once in a process, and
 * again after a change where the file says "reload yes". */
#pragma once

#include "resolver/sort_rules.h"

struct nd_snapshot;

struct nd_gai_conf {
    struct nd_sort_tables tables;
    struct nd_snapshot *snapshot; /* what the tables are part of; NULL: they are the built-in ones */
};

/* Gets the tables that are in force, which stay valid until nd_gai_conf_put. Without the file, without memory, and for
 * each kind of line that the file does not have, they are the built-in ones. Keeps errno. Not async-signal-safe. */
void nd_gai_conf_get(struct nd_gai_conf *conf);
void nd_gai_conf_put(struct nd_gai_conf *conf);
