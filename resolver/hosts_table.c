#include "resolver/hosts_table.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* isspace(3) of the C locale, whatever the program's locale is. */
static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Case-insensitive FNV-1a. It needs no key: only the administrator writes the file. */
static uint32_t hash_name(const char *name) {
    uint32_t h = 2166136261u;
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        if (c >= 'A' && c <= 'Z')
            c = (unsigned char)(c + 32);
        h = (h ^ c) * 16777619u;
    }
    return h;
}

static bool reserve(void **array, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity)
        return true;
    size_t wanted = *capacity ? *capacity * 2 : 16;
    void *bigger = wanted < UINT32_MAX / 2 ? realloc(*array, wanted * size) : NULL;
    if (!bigger)
        return false;
    *array = bigger;
    *capacity = wanted;
    return true;
}

struct builder {
    struct nd_hosts_table *table;
    size_t line_capacity, name_capacity;
};

/* Returns the next word, terminated in place, and advances *at past it; NULL at the end of the string. */
static char *next_word(char **at) {
    char *word = *at;
    while (is_space(*word))
        word++;
    if (!*word)
        return NULL;
    char *end = word;
    while (*end && !is_space(*end))
        end++;
    *at = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

static bool add_name(struct builder *b, const char *text) {
    struct nd_hosts_table *t = b->table;
    if (!reserve((void **)&t->names, t->name_count, &b->name_capacity, sizeof *t->names))
        return false;
    t->names[t->name_count++] =
        (struct nd_hosts_name){.hash = hash_name(text), .line = (uint32_t)t->line_count, .text = text};
    return true;
}

/* Adds one line, NUL-terminated and without its comment. Its names are moved so that they follow each other. */
static bool add_line(struct builder *b, char *text) {
    struct nd_hosts_table *t = b->table;
    struct nd_hosts_line line = {0};
    char *word = next_word(&text);
    if (!word)
        return true;
    if (inet_pton(AF_INET, word, line.address) > 0)
        line.family = AF_INET;
    else if (inet_pton(AF_INET6, word, line.address) > 0)
        line.family = AF_INET6;
    else
        return true; /* not an address: glibc ignores the line */
    if (!reserve((void **)&t->lines, t->line_count, &b->line_capacity, sizeof *t->lines))
        return false;

    char *to = word + strlen(word) + 1;
    line.names = to;
    word = next_word(&text);
    if (!word) { /* an address alone is a line whose name is empty */
        line.names = "";
        line.name_count = 1;
        if (!add_name(b, line.names))
            return false;
    }
    for (; word; word = next_word(&text)) {
        size_t size = strlen(word) + 1;
        memmove(to, word, size);
        if (!add_name(b, to))
            return false;
        line.name_count++;
        to += size;
    }
    t->lines[t->line_count++] = line;
    return true;
}

static bool read_lines(struct builder *b, char *text, size_t size) {
    char *end = text + size;
    while (text < end) {
        char *newline = memchr(text, '\n', (size_t)(end - text));
        char *next = newline ? newline + 1 : end;
        if (newline)
            *newline = '\0';
        char *comment = strchr(text, '#');
        if (comment)
            *comment = '\0';
        if (!add_line(b, text))
            return false;
        text = next;
    }
    return true;
}

static bool build_index(struct nd_hosts_table *t) {
    uint32_t buckets = 16;
    while (buckets < t->name_count && buckets < 1u << 30)
        buckets *= 2;
    t->buckets = calloc(buckets, sizeof *t->buckets);
    if (!t->buckets)
        return false;
    t->mask = buckets - 1;
    for (size_t i = t->name_count; i-- > 0;) { /* backwards, so that each chain has the order of the file */
        uint32_t *bucket = &t->buckets[t->names[i].hash & t->mask];
        t->names[i].next = *bucket;
        *bucket = (uint32_t)i + 1;
    }
    return true;
}

struct nd_hosts_table *nd_hosts_table_make(char *text, size_t size) {
    struct builder b = {.table = calloc(1, sizeof *b.table)};
    if (!b.table)
        return NULL;
    if (!read_lines(&b, text, size) || !build_index(b.table)) {
        nd_hosts_table_free(b.table);
        return NULL;
    }
    return b.table;
}

void nd_hosts_table_free(struct nd_hosts_table *t) {
    if (!t)
        return;
    free(t->lines);
    free(t->names);
    free(t->buckets);
    free(t->text);
    free(t);
}

void nd_hosts_table_find(struct nd_hosts_cursor *c, const struct nd_hosts_table *t, const char *name) {
    uint32_t hash = hash_name(name);
    *c = (struct nd_hosts_cursor){
        .table = t, .name = name, .hash = hash, .next = t->buckets[hash & t->mask], .last_line = UINT32_MAX};
}

const struct nd_hosts_line *nd_hosts_table_next(struct nd_hosts_cursor *c) {
    while (c->next != 0) {
        const struct nd_hosts_name *n = &c->table->names[c->next - 1];
        c->next = n->next;
        if (n->hash != c->hash || n->line == c->last_line || strcasecmp(n->text, c->name) != 0)
            continue;
        c->last_line = n->line;
        return &c->table->lines[n->line];
    }
    return NULL;
}
