#include "cli/config_block.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST "# Written by `netdeadline enable --system`, and removed by `netdeadline disable --system`:\n"
#define LAST "# End of what was written.\n"

/* Finds what was written before. Returns its length, and where it begins. */
static size_t find_block(const char *text, const char **begin) {
    *begin = strstr(text, FIRST);
    const char *last = *begin ? strstr(*begin, LAST) : NULL;
    return last ? (size_t)(last - *begin) + sizeof LAST - 1 : 0;
}

char *config_block_put(const char *text, size_t size, const char *lines, size_t *new_size) {
    const char *block;
    size_t length = find_block(text, &block), before = length ? (size_t)(block - text) : 0;
    bool is_empty = !lines[0];
    size_t added = is_empty ? 0 : sizeof FIRST - 1 + strlen(lines) + sizeof LAST - 1;
    char *put = malloc(size - length + added + 1);
    if (!put)
        return NULL;
    int written = is_empty ? 0 : sprintf(put, "%s%s%s", FIRST, lines, LAST);
    memcpy(put + written, text, before);
    memcpy(put + (size_t)written + before, text + before + length, size - before - length);
    *new_size = size - length + added;
    put[*new_size] = '\0';
    return put;
}

/* Whether the line NAME = VALUE sets `name`, which may be written in any case and with dashes. */
static bool sets(const char *line, const char *name) {
    line += strspn(line, " \t");
    for (; *name; name++, line++)
        if (toupper((unsigned char)(*line == '-' ? '_' : *line)) != *name)
            return false;
    return line[strspn(line, " \t")] == '=';
}

unsigned config_block_other_line(const char *text, const char *name) {
    const char *block;
    size_t length = find_block(text, &block);
    unsigned number = 1;
    for (const char *line = text; line && *line; number++) {
        bool is_ours = length && line >= block && line < block + length;
        if (line[strspn(line, " \t")] == '[')
            return 0;
        if (!is_ours && sets(line, name))
            return number;
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return 0;
}
