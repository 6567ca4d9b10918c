#include "resolver/gai_conf.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/words.h"
#include "resolver/file_cache.h"

/* The entries of one kind of line, the longest prefixes first. */
struct table {
    struct nd_prefix *entries;
    size_t count;
};

struct parsed {
    struct nd_sort_tables tables;
    struct table labels, precedences, scopes;
    bool reload, no_memory;
};

static void free_parsed(void *parsed) {
    struct parsed *p = parsed;
    free(p->labels.entries);
    free(p->precedences.entries);
    free(p->scopes.entries);
    free(p);
}

/* Inserts behind the prefixes of the same length: of two that are equal, the first one counts. */
static void insert(struct parsed *p, struct table *table, struct nd_prefix entry) {
    struct nd_prefix *bigger = realloc(table->entries, (table->count + 1) * sizeof *bigger);
    size_t at = table->count;
    if (!bigger) {
        p->no_memory = true;
        return;
    }
    while (at > 0 && bigger[at - 1].bits < entry.bits)
        at--;
    memmove(bigger + at + 1, bigger + at, (table->count - at) * sizeof *bigger);
    bigger[at] = entry;
    table->entries = bigger;
    table->count++;
}

/* A number as strtoul reads it, at most `limit`. An empty word is 0. */
static bool read_number(struct nd_word word, unsigned limit, unsigned *number) {
    bool negative = word.size > 0 && *word.at == '-';
    unsigned long long value = 0;
    if (word.size > 0 && (*word.at == '-' || *word.at == '+')) {
        word.at++, word.size--;
        if (word.size == 0)
            return false;
    }
    for (; word.size > 0; word.at++, word.size--) {
        if (*word.at < '0' || *word.at > '9')
            return false;
        value = value * 10 + (unsigned)(*word.at - '0');
        if (value > limit)
            return false;
    }
    *number = (unsigned)value;
    return !negative || value == 0;
}

/* "ADDRESS/BITS", for scopev4 an IPv4 address or a mapped one. The bits that no "/" gives are all. */
static bool read_prefix(struct nd_word word, bool scope, struct nd_prefix *entry) {
    static const struct nd_prefix mapped = {.bytes = {[10] = 0xff, [11] = 0xff}};
    struct nd_word address = word;
    char text[INET6_ADDRSTRLEN];
    unsigned least = 0, first = 0;
    nd_cut_at(&address, '/');
    if (address.size >= sizeof text)
        return false;
    memcpy(text, address.at, address.size);
    text[address.size] = '\0';
    if (inet_pton(AF_INET6, text, entry->bytes) > 0) {
        if (scope && memcmp(entry->bytes, mapped.bytes, 12) != 0)
            return false;
        least = scope ? 96 : 0;
    } else if (scope && inet_pton(AF_INET, text, entry->bytes + 12) > 0) {
        memcpy(entry->bytes, mapped.bytes, 12);
        first = 96;
    } else {
        return false;
    }
    entry->bits = 128;
    if (address.size < word.size) {
        struct nd_word bits = {word.at + address.size + 1, word.size - address.size - 1};
        if (!read_number(bits, 128 - first, &entry->bits))
            return false;
        entry->bits += first;
    }
    return entry->bits >= least;
}

static void read_entry(struct parsed *p, struct table *table, struct nd_word prefix, struct nd_word value) {
    struct nd_prefix entry;
    unsigned number;
    if (!read_prefix(prefix, table == &p->scopes, &entry) || !read_number(value, INT_MAX, &number))
        return;
    entry.value = (int)number;
    insert(p, table, entry);
}

/* A line that cannot be read has no effect. */
static void read_line(struct parsed *p, struct nd_word line) {
    struct nd_word keyword, first = {"", 0}, second = {"", 0};
    nd_cut_at(&line, '\0');
    nd_cut_at(&line, '#');
    if (!nd_next_word(&line, &keyword))
        return;
    if (nd_next_word(&line, &first))
        nd_next_word(&line, &second);
    if (nd_word_is(keyword, "label"))
        read_entry(p, &p->labels, first, second);
    else if (nd_word_is(keyword, "precedence"))
        read_entry(p, &p->precedences, first, second);
    else if (nd_word_is(keyword, "scopev4"))
        read_entry(p, &p->scopes, first, second);
    else if (nd_word_is(keyword, "reload"))
        p->reload = nd_word_is(first, "yes");
}

/* The lines of one kind take the place of the whole built-in table. What they do not cover has the value `rest`. */
static const struct nd_prefix *choose(struct parsed *p, struct table *table, struct nd_prefix rest,
                                      const struct nd_prefix *built_in) {
    if (table->count == 0)
        return built_in;
    if (table->entries[table->count - 1].bits > rest.bits)
        insert(p, table, rest);
    return table->entries;
}

static void *parse_gai_conf(struct nd_snapshot *s) {
    struct nd_word text = {s->text, s->size}, line;
    struct parsed *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    while (nd_next_line(&text, &line))
        read_line(p, line);
    p->tables.labels = choose(p, &p->labels, (struct nd_prefix){.value = 1}, nd_sort_tables.labels);
    p->tables.precedences = choose(p, &p->precedences, (struct nd_prefix){.value = 40}, nd_sort_tables.precedences);
    p->tables.scopes =
        choose(p, &p->scopes, (struct nd_prefix){{[10] = 0xff, [11] = 0xff}, 96, 14}, nd_sort_tables.scopes);
    if (p->no_memory) /* a table may lack the entry at which each search ends */
        p->tables = nd_sort_tables;
    return p;
}

/* What the process read first, and what is read after each change where that said "reload yes". */
static struct nd_file first_read = {
    .path = "/etc/gai.conf", .parse = parse_gai_conf, .destroy = free_parsed, .once = true};
static struct nd_file reloaded = {.path = "/etc/gai.conf", .parse = parse_gai_conf, .destroy = free_parsed};

void nd_gai_conf_get(struct nd_gai_conf *conf) {
    struct nd_snapshot *s = nd_file_get(&first_read);
    struct parsed *p = s ? s->parsed : NULL;
    if (p && p->reload) {
        nd_file_put(s);
        s = nd_file_get(&reloaded);
        p = s ? s->parsed : NULL;
    }
    conf->snapshot = s;
    conf->tables = p ? p->tables : nd_sort_tables;
}

void nd_gai_conf_put(struct nd_gai_conf *conf) {
    nd_file_put(conf->snapshot);
}
