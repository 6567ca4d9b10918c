#include "resolver/sortlist.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/numeric.h"

#define MOST_SORTED 48 /* libc leaves those behind them in their order */

static bool is_separator(char c) {
    return c == '/' || c == '&';
}

static bool is_end(char c) {
    return c == ';' || nd_is_space(c) || (unsigned char)c >= 0x80;
}

/* Takes the text up to a separator (where `separated`) or an end off the front of `line`. */
static bool read_address(struct nd_word *line, bool separated, uint32_t *address) {
    char text[64];
    size_t size = 0;
    struct in_addr parsed;
    while (size < line->size && !is_end(line->at[size]) && !(separated && is_separator(line->at[size])))
        size++;
    bool fits = size < sizeof text;
    memcpy(text, line->at, fits ? size : 0);
    text[fits ? size : 0] = '\0';
    line->at += size;
    line->size -= size;
    if (!nd_parse_ipv4(text, &parsed))
        return false;
    *address = ntohl(parsed.s_addr);
    return true;
}

static uint32_t mask_of_class(uint32_t address) {
    return IN_CLASSA(address) ? IN_CLASSA_NET : IN_CLASSB(address) ? IN_CLASSB_NET : IN_CLASSC_NET;
}

void nd_sortlist_add(struct nd_sortlist *list, uint32_t address, uint32_t mask) {
    void *bigger = realloc(list->entries, (list->count + 1) * sizeof *list->entries);
    if (!bigger)
        return;
    list->entries = bigger;
    list->entries[list->count].address = address;
    list->entries[list->count++].mask = mask;
}

void nd_sortlist_read(struct nd_sortlist *list, struct nd_word line) {
    for (;;) {
        uint32_t address, mask;
        while (line.size > 0 && (*line.at == ' ' || *line.at == '\t'))
            line.at++, line.size--;
        if (line.size == 0 || *line.at == ';')
            return;
        size_t left = line.size;
        if (read_address(&line, true, &address)) {
            mask = mask_of_class(address);
            if (line.size > 0 && is_separator(*line.at)) {
                line.at++, line.size--;
                read_address(&line, false, &mask);
            }
            nd_sortlist_add(list, address, mask);
        }
        if (line.size == left) /* libc would never come to the end of this line */
            line.at++, line.size--;
    }
}

bool nd_sortlist_same(const struct nd_sortlist *a, const struct nd_sortlist *b) {
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->entries, b->entries, a->count * sizeof *a->entries) == 0);
}

void nd_sortlist_free(struct nd_sortlist *list) {
    free(list->entries);
    *list = (struct nd_sortlist){0};
}

static size_t rank(const struct nd_sortlist *list, const struct nd_address *a) {
    uint32_t address;
    size_t i = 0;
    memcpy(&address, a->bytes, 4);
    address = ntohl(address);
    while (i < list->count && list->entries[i].address != (address & list->entries[i].mask))
        i++;
    return i;
}

void nd_sortlist_apply(const struct nd_sortlist *list, struct nd_host *host) {
    if (list->count == 0)
        return;
    for (size_t i = 1; i < host->count && i < MOST_SORTED; i++) { /* equal ones stay in their order */
        struct nd_address moved = host->addresses[i];
        size_t at = i;
        for (; at > 0 && rank(list, &host->addresses[at - 1]) > rank(list, &moved); at--)
            host->addresses[at] = host->addresses[at - 1];
        host->addresses[at] = moved;
    }
}
