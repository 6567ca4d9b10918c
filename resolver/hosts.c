#include "resolver/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/file_cache.h"
#include "resolver/hosts_table.h"

static void destroy(void *parsed) {
    nd_hosts_table_free(parsed);
}

static void *parse(struct nd_snapshot *s) {
    return nd_hosts_table_make(s->text, s->size);
}

static struct nd_file hosts_file = {.path = "/etc/hosts", .parse = parse, .destroy = destroy};

/* Returns the line's address in the requested family, or NULL. */
static const unsigned char *address_for(const struct nd_hosts_line *line, int family, int *found) {
    static const unsigned char loopback[4] = {127, 0, 0, 1};
    static const unsigned char v6_loopback[16] = {[15] = 1};
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

    *found = line->family;
    if (family == AF_UNSPEC || family == line->family)
        return line->address;
    if (family != AF_INET)
        return NULL;
    *found = AF_INET;
    if (memcmp(line->address, mapped, sizeof mapped) == 0)
        return line->address + 12;
    if (memcmp(line->address, v6_loopback, sizeof v6_loopback) == 0)
        return loopback;
    return NULL;
}

/* Adds the aliases of a line and, from the second line on, its name where it differs, in glibc's order. */
static void add_names(struct nd_host *host, const struct nd_hosts_line *line, bool first) {
    const char *name = line->names;
    for (unsigned i = 1; i < line->name_count; i++) {
        name += strlen(name) + 1;
        nd_host_add_name(host, name, strlen(name));
    }
    if (!first && host->canonical && strcmp(host->canonical, line->names) != 0)
        nd_host_add_name(host, line->names, strlen(line->names));
}

static bool add_line(struct nd_host *host, const struct nd_hosts_line *line, int family) {
    int found;
    const unsigned char *bytes = address_for(line, family, &found);
    if (!bytes)
        return false;
    bool first = host->count == 0;
    if (first)
        nd_host_set_canonical(host, line->names, strlen(line->names));
    nd_host_add_address(host, found, bytes);
    if (family != AF_UNSPEC)
        add_names(host, line, first);
    host->status = ND_SUCCESS;
    host->h_err = 0;
    return true;
}

static void set_unreadable(struct nd_host *host, int error, int family) {
    host->status = error == EAGAIN ? ND_TRYAGAIN : ND_UNAVAIL;
    host->h_err = family == AF_UNSPEC ? (error == EAGAIN ? TRY_AGAIN : NO_DATA) : 0;
    host->sys_err = error;
}

static struct nd_snapshot *open_table(struct nd_host *host, int family) {
    struct nd_snapshot *s = nd_file_get(&hosts_file);
    if (s && !s->error && s->parsed)
        return s;
    set_unreadable(host, s && s->error ? s->error : ENOMEM, family);
    nd_file_put(s);
    return NULL;
}

void nd_hosts_by_name(struct nd_host *host, const char *name, int family, bool multi) {
    struct nd_snapshot *s = open_table(host, family);
    if (!s)
        return;
    struct nd_hosts_cursor cursor;
    nd_hosts_table_find(&cursor, s->parsed, name);
    const struct nd_hosts_line *line;
    while ((line = nd_hosts_table_next(&cursor)) != NULL)
        if (add_line(host, line, family) && !multi)
            break;
    if (host->count && multi && family != AF_UNSPEC)
        host->h_err = HOST_NOT_FOUND; /* libc reads on to the end of the file, which leaves this value */
    nd_file_put(s);
}

void nd_hosts_by_address(struct nd_host *host, const void *address, int family) {
    struct nd_snapshot *s = open_table(host, family);
    if (!s)
        return;
    const struct nd_hosts_table *table = s->parsed;
    for (size_t i = 0; i < table->line_count; i++) {
        int found;
        const unsigned char *bytes = address_for(&table->lines[i], family, &found);
        if (bytes && memcmp(bytes, address, family == AF_INET ? 4 : 16) == 0) {
            add_line(host, &table->lines[i], family);
            break;
        }
    }
    nd_file_put(s);
}
