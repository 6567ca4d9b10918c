#include "resolver/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "resolver/file_cache.h"
#include "resolver/hosts_scan.h"
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
    host->keeps_h_errno = true;
    return true;
}

/* For one family libc leaves h_errno as it is. */
static void set_unreadable(struct nd_host *host, int error, int family) {
    host->status = error == EAGAIN ? ND_TRYAGAIN : ND_UNAVAIL;
    host->h_err = family == AF_UNSPEC ? (error == EAGAIN ? TRY_AGAIN : HOST_NOT_FOUND) : 0;
    host->sys_err = error;
}

/* A process that looks up names often gets the index of a large file; for others the file is read once for a lookup. */
#define LARGE ((off_t)64 << 10)
#define OFTEN 16
#define OFTEN_WITHIN (10 * ND_SEC)

static bool asks_often(void) {
    static nd_time begin;
    static int scans;
    nd_time now = nd_now_coarse();
    if (now - __atomic_load_n(&begin, __ATOMIC_RELAXED) > OFTEN_WITHIN) {
        __atomic_store_n(&begin, now, __ATOMIC_RELAXED);
        __atomic_store_n(&scans, 0, __ATOMIC_RELAXED);
    }
    if (__atomic_add_fetch(&scans, 1, __ATOMIC_RELAXED) <= OFTEN)
        return false;
    __atomic_store_n(&begin, now - OFTEN_WITHIN - 1, __ATOMIC_RELAXED);
    return true;
}

/* The file, in the one way or the other. */
struct source {
    struct nd_snapshot *snapshot; /* with its index; NULL: `scan` is used */
    struct nd_hosts_scan scan;
};

/* `name`: what is looked for; NULL: an address. */
static bool open_source(struct source *source, struct nd_host *host, const char *name, int family) {
    bool large;
    struct nd_snapshot *s = nd_file_get_small(&hosts_file, LARGE, &large);
    source->snapshot = NULL;
    bool can_scan = !name || *name; /* the empty name is that of an address alone */
    if (large && can_scan && !asks_often()) {
        if (nd_hosts_scan_open(&source->scan, hosts_file.path))
            return true;
        set_unreadable(host, source->scan.error, family);
        return false;
    }
    if (large)
        s = nd_file_get(&hosts_file);
    if (s && !s->error && s->parsed) {
        source->snapshot = s;
        return true;
    }
    set_unreadable(host, s && s->error ? s->error : ENOMEM, family);
    nd_file_put(s);
    return false;
}

static void close_source(struct source *source, struct nd_host *host, int family) {
    if (source->snapshot) {
        nd_file_put(source->snapshot);
        return;
    }
    if (source->scan.error) {
        nd_host_free(host);
        set_unreadable(host, source->scan.error, family);
    }
    nd_hosts_scan_close(&source->scan);
}

void nd_hosts_by_name(struct nd_host *host, const char *name, int family, bool multi) {
    struct source source;
    struct nd_hosts_cursor cursor;
    const struct nd_hosts_line *line;
    if (!open_source(&source, host, name, family))
        return;
    if (source.snapshot)
        nd_hosts_table_find(&cursor, source.snapshot->parsed, name);
    while ((line = source.snapshot ? nd_hosts_table_next(&cursor) : nd_hosts_scan_name(&source.scan, name)) != NULL)
        if (add_line(host, line, family) && !multi)
            break;
    if (host->count && multi) { /* libc reads on to the end of the file, which leaves this value */
        host->h_err = HOST_NOT_FOUND;
        host->keeps_h_errno = false;
    }
    close_source(&source, host, family);
}

static bool has_address(const struct nd_hosts_line *line, const void *address, int family) {
    int found;
    const unsigned char *bytes = address_for(line, family, &found);
    return bytes && memcmp(bytes, address, family == AF_INET ? 4 : 16) == 0;
}

static const struct nd_hosts_line *find_in_table(const struct nd_hosts_table *table, const void *address, int family) {
    for (size_t i = 0; i < table->line_count; i++)
        if (has_address(&table->lines[i], address, family))
            return &table->lines[i];
    return NULL;
}

static const struct nd_hosts_line *find_by_scan(struct nd_hosts_scan *scan, const void *address, int family) {
    const struct nd_hosts_line *line;
    do
        line = nd_hosts_scan_address(scan, address, family);
    while (line && !has_address(line, address, family));
    return line;
}

void nd_hosts_by_address(struct nd_host *host, const void *address, int family) {
    struct source source;
    if (!open_source(&source, host, NULL, family))
        return;
    const struct nd_hosts_line *line = source.snapshot ? find_in_table(source.snapshot->parsed, address, family)
                                                       : find_by_scan(&source.scan, address, family);
    if (line)
        add_line(host, line, family);
    close_source(&source, host, family);
}
