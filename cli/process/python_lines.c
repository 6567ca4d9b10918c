#include "cli/process/python_lines.h"

/* Pairs of the bytes to the next line and the lines to it; the line of an instruction is that of the last pair at or
 * before it. */
static long line_in_pairs(const unsigned char *table, size_t size, long line, size_t offset) {
    size_t at = 0;
    for (size_t i = 0; i + 1 < size; i += 2) {
        at += table[i];
        if (at > offset)
            break;
        line += (signed char)table[i + 1];
    }
    return line;
}

/* Pairs of the bytes of a range and the lines from the range before to it; -128: the range has no line. */
static long line_in_ranges(const unsigned char *table, size_t size, long line, size_t offset) {
    size_t end = 0;
    for (size_t i = 0; i + 1 < size; i += 2) {
        const signed char more = (signed char)table[i + 1];
        end += table[i];
        line += more == -128 ? 0 : more;
        if (end > offset)
            return more == -128 ? 0 : line;
    }
    return 0;
}

/* A number in pieces of six bits, the lowest first. */
static unsigned long read_number(const unsigned char *table, size_t size, size_t *at) {
    unsigned long number = 0;
    for (unsigned shift = 0; *at < size && shift < 32; shift += 6) {
        const unsigned char byte = table[(*at)++];
        number |= (unsigned long)(byte & 0x3f) << shift;
        if (!(byte & 0x40))
            break;
    }
    return number;
}

/* One whose lowest bit is its sign. */
static long read_signed(const unsigned char *table, size_t size, size_t *at) {
    const unsigned long number = read_number(table, size, at);
    return number & 1 ? -(long)(number >> 1) : (long)(number >> 1);
}

/* Entries that begin with a byte whose highest bit is set: their kind in the next four, and how many units of two bytes
 * they are about, less one, in the lowest three. What follows, up to the next such byte, tells the columns, too. */
static long line_in_locations(const unsigned char *table, size_t size, long line, size_t offset) {
    enum { ONE_LINE = 10, NO_COLUMNS = 13, LONG = 14, NONE = 15 };
    size_t end = 0;
    for (size_t at = 0; at < size;) {
        const unsigned char first = table[at++];
        const unsigned kind = first >> 3 & 15;
        if (!(first & 0x80))
            return 0;
        end += ((size_t)(first & 7) + 1) * 2;
        if (kind >= ONE_LINE && kind < NO_COLUMNS)
            line += (long)kind - ONE_LINE;
        else if (kind == NO_COLUMNS || kind == LONG)
            line += read_signed(table, size, &at);
        if (end > offset)
            return kind == NONE ? 0 : line;
        while (at < size && !(table[at] & 0x80))
            at++;
    }
    return 0;
}

unsigned python_line_at(enum python_lines how, const unsigned char *table, size_t size, unsigned first_line,
                        size_t offset) {
    const long first = (long)first_line;
    const long line = how == PYTHON_LINES_PAIRS    ? line_in_pairs(table, size, first, offset)
                      : how == PYTHON_LINES_RANGES ? line_in_ranges(table, size, first, offset)
                                                   : line_in_locations(table, size, first, offset);
    return line > 0 && line <= INT32_MAX ? (unsigned)line : 0;
}
