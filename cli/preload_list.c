#include "cli/preload_list.h"

#include <stdlib.h>
#include <string.h>

#define LIBRARY "libnetdeadline.so"

static bool is_separator(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == ':';
}

/* Where the name that begins at `at` ends. A comment may begin right behind it. */
static const char *name_end(const char *at, const char *end) {
    while (at < end && !is_separator(*at) && *at != '#')
        at++;
    return at;
}

static bool is_ours(const char *name, size_t length) {
    const char *slash = memrchr(name, '/', length);
    const char *file = slash ? slash + 1 : name;
    size_t rest = length - (size_t)(file - name);
    return rest == sizeof LIBRARY - 1 && memcmp(file, LIBRARY, rest) == 0;
}

const char *preload_list_next(const char *text, size_t size, const char *from, size_t *length) {
    const char *end = text + size;
    for (const char *at = from; at < end;) {
        if (is_separator(*at)) {
            at++;
            continue;
        }
        if (*at == '#') {
            const char *line = memchr(at, '\n', (size_t)(end - at));
            at = line ? line : end;
            continue;
        }
        const char *behind = name_end(at, end);
        *length = (size_t)(behind - at);
        if (is_ours(at, *length))
            return at;
        at = behind;
    }
    return NULL;
}

char *preload_list_with(const char *text, size_t size, const char *name, size_t *new_size) {
    size_t length = strlen(name);
    char *with = malloc(size + length + 3);
    if (!with)
        return NULL;
    memcpy(with, text, size);
    if (size > 0 && text[size - 1] != '\n')
        with[size++] = '\n';
    memcpy(with + size, name, length);
    with[size + length] = '\n';
    with[size + length + 1] = '\0';
    *new_size = size + length + 1;
    return with;
}

static bool is_blank(const char *line, size_t length) {
    while (length > 0 && is_separator(line[length - 1]))
        length--;
    return length == 0;
}

/* Copies a line of `length` without our names to `to`, which may be the same place. Returns what is left of it. */
static size_t copy_line(char *to, const char *line, size_t length) {
    const char *from = line, *ours;
    size_t size, kept = 0;
    bool found = false;
    for (; (ours = preload_list_next(line, length, from, &size)); from = ours + size, found = true) {
        memmove(to + kept, from, (size_t)(ours - from));
        kept += (size_t)(ours - from);
    }
    memmove(to + kept, from, length - (size_t)(from - line));
    kept += length - (size_t)(from - line);
    return found && is_blank(to, kept) ? 0 : kept;
}

size_t preload_list_remove(char *text, size_t size) {
    size_t kept = 0;
    for (size_t at = 0; at < size;) {
        const char *newline = memchr(text + at, '\n', size - at);
        size_t length = newline ? (size_t)(newline - text) + 1 - at : size - at;
        kept += copy_line(text + kept, text + at, length);
        at += length;
    }
    return is_blank(text, kept) ? 0 : kept;
}
