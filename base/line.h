/* A bounded line of text being built in a caller's buffer. Nothing here allocates, locks, uses stdio or the locale: all
 * of it is async-signal-safe. What does not fit is left out; the text always ends in a NUL. */
#ifndef ND_BASE_LINE_H
#define ND_BASE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct nd_line {
    char *text;
    size_t size; /* of the buffer, the final NUL included */
    size_t used;
    bool cut; /* something did not fit */
};

/* An empty line in `buffer` of `size` bytes (at least 1). */
void nd_line_start(struct nd_line *line, char *buffer, size_t size);

/* `text` as it stands: only for text of our own. */
void nd_line_put(struct nd_line *line, const char *text);
void nd_line_put_char(struct nd_line *line, char c);

/* A number in decimal, with leading zeros up to `width` digits. */
void nd_line_put_number(struct nd_line *line, uint64_t number, int width);
void nd_line_put_hex(struct nd_line *line, uint64_t number);

/* Text from outside (names, paths, values), as the inside of a JSON string: printable ASCII as it stands, a quote,
 * backslash or anything else as an escape (\n, \u00e9; a byte that is no UTF-8 as \ufffd), so that neither a log reader nor
 * a terminal can be fooled. Reads `length` bytes, and stops with "..." before more than `most` characters are written. */
void nd_line_put_escaped(struct nd_line *line, const char *text, size_t length, size_t most);

/* A time as nd_duration_parse reads it: `1m30s`, `250ms`; `off` for 0; below a millisecond rounded up to one. */
void nd_line_put_duration(struct nd_line *line, nd_time time);

/* A time in seconds with three decimals: `3.002`. */
void nd_line_put_seconds(struct nd_line *line, nd_time time);

#endif
