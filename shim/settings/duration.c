#include "shim/settings/duration.h"

#include <string.h>

static const struct {
    char name[4]; /* not a pointer, so that the table needs no relocation and no private page of memory */
    nd_time length;
} units[] = {{"h", 3600 * ND_SEC}, {"m", 60 * ND_SEC}, {"s", ND_SEC}, {"ms", ND_MSEC}};

enum { UNITS = sizeof units / sizeof units[0] };

/* Reads digits at *text and moves *text past them. Returns -1 where there is no digit, or the number is too large. */
static nd_time read_number(const char **text) {
    nd_time number = 0;
    const char *at = *text;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *at - '0', &number))
            return -1;
    if (at == *text)
        return -1;
    *text = at;
    return number;
}

/* Reads a unit at *text and moves *text past it. Returns its index, or UNITS where there is none. */
static size_t read_unit(const char **text) {
    size_t length = 0;
    while ((*text)[length] == 'h' || (*text)[length] == 'm' || (*text)[length] == 's')
        length++;
    for (size_t i = 0; i < UNITS; i++)
        if (length < sizeof units[i].name && !units[i].name[length] && memcmp(units[i].name, *text, length) == 0) {
            *text += length;
            return i;
        }
    return UNITS;
}

int nd_duration_parse(const char *text, nd_time *out) {
    nd_time total = 0;
    size_t first_allowed = 0; /* each unit must be smaller than the one before */
    if (strcmp(text, "off") == 0) {
        *out = 0;
        return 0;
    }
    do {
        nd_time part = read_number(&text);
        size_t unit = part < 0 ? UNITS : read_unit(&text);
        if (unit == UNITS || unit < first_allowed)
            return -1;
        first_allowed = unit + 1;
        if (__builtin_mul_overflow(part, units[unit].length, &part) || __builtin_add_overflow(total, part, &total))
            return -1;
    } while (*text != '\0');
    if (total == 0)
        return -1;
    *out = total;
    return 0;
}
