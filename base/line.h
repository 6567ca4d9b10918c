/* A line of text that is built in a buffer of the caller's. These functions do not allocate, lock, or use stdio or the
 * locale: all are async-signal-safe. Text that does not fit is left out; the buffer always holds a NUL-terminated
 * string. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

struct nd_line {
    char *text;
    size_t size; /* of the buffer, the final NUL included */
    size_t used;
    bool cut; /* something did not fit */
};

/* Starts an empty line in `buffer` of `size` bytes (at least 1). */
void nd_line_start(struct nd_line *line, char *buffer, size_t size);

/* Appends `text` unchanged: only for text of the library's own. */
void nd_line_put(struct nd_line *line, const char *text);
void nd_line_put_char(struct nd_line *line, char c);

/* Appends a number in decimal, with leading zeros up to `width` digits; or in hexadecimal. */
void nd_line_put_number(struct nd_line *line, uint64_t number, int width);
void nd_line_put_hex(struct nd_line *line, uint64_t number);

/* Appends text from outside (names, paths, values) as the contents of a JSON string: printable ASCII unchanged; quotes,
 * backslashes and everything else escaped (\n, \u00e9; a byte that is not UTF-8 as \ufffd), so that it can mislead
 * neither a log reader nor a terminal. Reads `length` bytes, and ends with "..." before more than `most` characters are
 * written. */
void nd_line_put_escaped(struct nd_line *line, const char *text, size_t length, size_t most);

/* Appends a time in the form that nd_duration_parse reads: `1m30s`, `250ms`, `off` for 0. Rounds up to a whole
 * millisecond. */
void nd_line_put_duration(struct nd_line *line, nd_time time);

/* Appends a time in seconds with three decimals: `3.002`. */
void nd_line_put_seconds(struct nd_line *line, nd_time time);
