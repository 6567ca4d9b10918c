/* Text of other processes, on its way to a terminal or into JSON. */
#pragma once

#include <string.h>

#include "base/line.h"

/* Copies `text` to `out`, escaped as in a JSON string, and shortened to its `size` bytes. */
static inline void escape(char *out, size_t size, const char *text) {
    struct nd_line line;
    nd_line_start(&line, out, size);
    nd_line_put_escaped(&line, text, strlen(text), size - 1);
}
