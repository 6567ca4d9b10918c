/* /etc/nsswitch.conf: which sources are asked, decided for one name at a time, as in Go's resolver. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define ND_MAX_SOURCES 4

enum nd_source { ND_SOURCE_FILES, ND_SOURCE_DNS };

struct nd_sources {
    enum nd_source list[ND_MAX_SOURCES];
    int count;
    const char
        *rest_why; /* why only libc can answer where none of `list` has the name (static text); NULL: it is not asked */
};

/* Finds the sources for host `name` (NULL: for addresses). Returns NULL, or why only libc can answer (static text).
 * Where the files come first, they are in `list` alone, with `rest_why`. */
const char *nd_nsswitch_hosts(struct nd_sources *sources, const char *name);

/* Returns NULL where service names come from /etc/services alone, else why only libc can answer. */
const char *nd_nsswitch_services(void);

/* From here on the sources of `database` ("hosts", "services") are those in `line`, whatever the file says. Keeps
 * errno. */
void nd_nsswitch_configure(const char *database, const char *line);

/* Whether that was done for hosts. */
bool nd_nsswitch_is_configured(void);

/* As nd_nsswitch_hosts, on a given text; for tests. */
const char *nd_nsswitch_decide(struct nd_sources *sources, const char *text, size_t size, const char *name);
