/* What is drawn for the eye: bars, and colours where they can be shown. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Sequences that begin and end a colour. They are empty where the output is no terminal, TERM is dumb, or NO_COLOR is
 * set to anything but nothing. */
struct terminal_colours {
    const char *warning, *alarm, *accent, *end;
};

struct terminal_colours terminal_colours(FILE *to);

/* The columns of the terminal; 80 where there is none, or it does not tell. */
size_t terminal_width(FILE *to);

/* Stores `width` characters and a NUL: as many # as `value` is of `most`, then `rest`. Any value but 0 shows as at
 * least one #. */
void terminal_bar(char *out, size_t width, uint64_t value, uint64_t most, char rest);
