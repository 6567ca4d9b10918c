#include "resolver/hosts_scan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/words.h"

#define FIRST_CAPACITY ((size_t)64 << 10)
#define MAX_LINE ((size_t)256 << 20)

bool nd_hosts_scan_open(struct nd_hosts_scan *s, const char *path) {
    int saved = errno;
    *s = (struct nd_hosts_scan){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    s->error = s->fd < 0 ? errno : 0;
    errno = saved;
    return s->fd >= 0;
}

void nd_hosts_scan_close(struct nd_hosts_scan *s) {
    int saved = errno;
    nd_hosts_table_free(s->table);
    free(s->buffer);
    close(s->fd);
    errno = saved;
}

/* Makes room for more bytes behind those that are left. */
static bool make_room(struct nd_hosts_scan *s) {
    if (s->begin > 0) {
        memmove(s->buffer, s->buffer + s->begin, s->end - s->begin);
        s->end -= s->begin;
        s->begin = 0;
    }
    if (s->end < s->capacity)
        return true;
    size_t wanted = s->capacity ? s->capacity * 2 : FIRST_CAPACITY;
    char *bigger = wanted <= MAX_LINE ? realloc(s->buffer, wanted) : NULL;
    if (!bigger) {
        s->error = wanted > MAX_LINE ? EFBIG : ENOMEM;
        return false;
    }
    s->buffer = bigger;
    s->capacity = wanted;
    return true;
}

/* Reads on until there are whole lines; `lines` has all of those. False: at the end of the file. */
static bool more_lines(struct nd_hosts_scan *s, struct nd_word *lines) {
    int saved = errno;
    size_t searched = s->begin;
    for (;;) {
        const char *from = s->buffer + searched;
        const char *newline = s->end > searched ? memrchr(from, '\n', s->end - searched) : NULL;
        if (newline || (s->at_end_of_file && s->end > s->begin)) {
            size_t end = newline ? (size_t)(newline - s->buffer) + 1 : s->end;
            *lines = (struct nd_word){s->buffer + s->begin, end - s->begin};
            return true;
        }
        searched = s->end - s->begin; /* where it will be */
        if (s->at_end_of_file || s->error || !make_room(s))
            return false;
        ssize_t n = read(s->fd, s->buffer + s->end, s->capacity - s->end);
        if (n > 0)
            s->end += (size_t)n;
        else if (n == 0)
            s->at_end_of_file = true;
        else if (errno != EINTR)
            s->error = errno;
        errno = saved;
    }
}

static void skip_to(struct nd_hosts_scan *s, const char *at) {
    s->begin = (size_t)(at - s->buffer);
}

/* Parses one line in the way of the index. NULL: it is none, or there is no memory. */
static const struct nd_hosts_line *parse_line(struct nd_hosts_scan *s, struct nd_word line, const char *name) {
    struct nd_hosts_cursor cursor;
    char *text = malloc(line.size + 1);
    nd_hosts_table_free(s->table);
    s->table = NULL;
    if (text) {
        memcpy(text, line.at, line.size);
        text[line.size] = '\0';
        s->table = nd_hosts_table_make(text, line.size);
    }
    if (!s->table) {
        free(text);
        s->error = ENOMEM;
        return NULL;
    }
    s->table->text = text;
    if (!name)
        return s->table->line_count ? s->table->lines : NULL;
    nd_hosts_table_find(&cursor, s->table, name);
    return nd_hosts_table_next(&cursor);
}

/* The occurrences of a letter in both cases, in their order. */
struct letters {
    const char *next[2], *end;
    char letter[2];
};

static void begin_letters(struct letters *l, char letter, struct nd_word text) {
    bool is_letter = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
    l->end = text.at + text.size;
    l->letter[0] = letter;
    l->letter[1] = is_letter ? (char)(letter ^ 0x20) : letter;
    for (int i = 0; i < 2; i++)
        l->next[i] = i == 1 && !is_letter ? NULL : memchr(text.at, l->letter[i], text.size);
}

static const char *next_letter(struct letters *l) {
    int first = !l->next[0] || (l->next[1] && l->next[1] < l->next[0]);
    const char *found = l->next[first];
    if (found)
        l->next[first] = memchr(found + 1, l->letter[first], (size_t)(l->end - found - 1));
    return found;
}

/* Whether `at` has the whole word `name`. A comment may follow it without a space. */
static bool has_word(struct nd_word lines, const char *at, const char *name, size_t size) {
    const char *end = lines.at + lines.size;
    if (at == lines.at || !nd_is_space(at[-1]) || (size_t)(end - at) < size || strncasecmp(at, name, size) != 0)
        return false;
    return at + size == end || nd_is_space(at[size]) || at[size] == '#' || at[size] == '\0';
}

static struct nd_word line_around(struct nd_word lines, const char *at) {
    const char *end = lines.at + lines.size;
    const char *before = memrchr(lines.at, '\n', (size_t)(at - lines.at));
    const char *behind = memchr(at, '\n', (size_t)(end - at));
    const char *begin = before ? before + 1 : lines.at;
    return (struct nd_word){begin, (size_t)((behind ? behind + 1 : end) - begin)};
}

const struct nd_hosts_line *nd_hosts_scan_name(struct nd_hosts_scan *s, const char *name) {
    struct nd_word lines;
    struct letters letters;
    size_t size = strlen(name);
    while (!s->error && more_lines(s, &lines)) {
        const char *done = lines.at, *at;
        begin_letters(&letters, *name, lines);
        while ((at = next_letter(&letters)) != NULL) {
            if (at < done || !has_word(lines, at, name, size))
                continue;
            struct nd_word line = line_around(lines, at);
            const struct nd_hosts_line *found = parse_line(s, line, name);
            done = line.at + line.size;
            if (found || s->error) {
                skip_to(s, done);
                return found;
            }
        }
        skip_to(s, lines.at + lines.size);
    }
    return NULL;
}

/* Whether a line that begins with `word` may have the address: for AF_INET also as ::1 or ::ffff:a.b.c.d. */
static bool may_have(struct nd_word word, const char *text, const void *address, int family) {
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff}, one[16] = {[15] = 1};
    unsigned char found[16];
    char copy[INET6_ADDRSTRLEN];
    nd_cut_at(&word, '#');
    nd_cut_at(&word, '\0');
    if (word.size == 0 || word.size >= sizeof copy || !memchr(word.at, ':', word.size))
        return *text && nd_word_is(word, text);
    memcpy(copy, word.at, word.size);
    copy[word.size] = '\0';
    if (inet_pton(AF_INET6, copy, found) <= 0)
        return false;
    if (family != AF_INET)
        return memcmp(found, address, sizeof found) == 0;
    return memcmp(found, mapped, sizeof mapped) == 0 || memcmp(found, one, sizeof one) == 0;
}

const struct nd_hosts_line *nd_hosts_scan_address(struct nd_hosts_scan *s, const void *address, int family) {
    struct nd_word lines, line, rest, word;
    char text[INET_ADDRSTRLEN] = "";
    if (family == AF_INET) /* the only way to write it that inet_pton takes, but for those with a colon */
        inet_ntop(AF_INET, address, text, sizeof text);
    while (!s->error && more_lines(s, &lines)) {
        while (nd_next_line(&lines, &line)) {
            rest = line;
            if (!nd_next_word(&rest, &word) || !may_have(word, text, address, family))
                continue;
            const struct nd_hosts_line *found = parse_line(s, line, NULL);
            if (found || s->error) {
                skip_to(s, lines.at);
                return found;
            }
        }
        skip_to(s, lines.at);
    }
    return NULL;
}
