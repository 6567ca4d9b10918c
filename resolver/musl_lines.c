#include "resolver/musl_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "resolver/musl.h"

int nd_musl_lines_open(struct nd_musl_lines *lines, const char *path) {
    lines->at = lines->end = 0;
    lines->ended = false;
    /* O_NONBLOCK: the open of a FIFO must not block */
    lines->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (lines->fd >= 0)
        return 0;
    return errno == ENOTDIR || errno == EACCES ? ENOENT : errno;
}

void nd_musl_lines_close(struct nd_musl_lines *lines) {
    close(lines->fd);
}

static bool fill(struct nd_musl_lines *lines) {
    ssize_t n = 0;
    if (lines->ended)
        return false;
    do
        n = read(lines->fd, lines->buffer, sizeof lines->buffer);
    while (n < 0 && errno == EINTR);
    lines->ended = n <= 0;
    lines->at = 0;
    lines->end = n > 0 ? (size_t)n : 0;
    return n > 0;
}

bool nd_musl_lines_next(struct nd_musl_lines *lines, char *line, size_t size) {
    size_t length = 0;
    while (length < size - 1 && (lines->at < lines->end || fill(lines))) {
        const char *from = lines->buffer + lines->at;
        size_t part = lines->end - lines->at < size - 1 - length ? lines->end - lines->at : size - 1 - length;
        const char *newline = memchr(from, '\n', part);
        if (newline)
            part = (size_t)(newline - from) + 1;
        memcpy(line + length, from, part);
        length += part;
        lines->at += part;
        if (newline)
            break;
    }
    line[length] = '\0';
    return length > 0;
}

void nd_musl_lines_skip(struct nd_musl_lines *lines) {
    while (lines->at < lines->end || fill(lines)) {
        const char *newline = memchr(lines->buffer + lines->at, '\n', lines->end - lines->at);
        lines->at = newline ? (size_t)(newline - lines->buffer) + 1 : lines->end;
        if (newline)
            return;
    }
}

void nd_musl_lines_cut_comment(char *line) {
    char *comment = strchr(line, '#');
    if (comment) {
        comment[0] = '\n';
        comment[1] = '\0';
    }
}

char *nd_musl_word_end(char *text) {
    while (*text && !nd_musl_is_space(*text))
        text++;
    return text;
}

char *nd_musl_word_next(char *text) {
    while (nd_musl_is_space(*text))
        text++;
    return text;
}
