#include "base/line.h"

#include <string.h>

void nd_line_start(struct nd_line *line, char *buffer, size_t size) {
    *line = (struct nd_line){.text = buffer, .size = size};
    buffer[0] = '\0';
}

static void put_bytes(struct nd_line *line, const char *bytes, size_t count) {
    if (count >= line->size - line->used) {
        line->cut = true;
        return;
    }
    memcpy(line->text + line->used, bytes, count);
    line->used += count;
    line->text[line->used] = '\0';
}

void nd_line_put(struct nd_line *line, const char *text) {
    put_bytes(line, text, strlen(text));
}

void nd_line_put_char(struct nd_line *line, char c) {
    put_bytes(line, &c, 1);
}

static void put_in_base(struct nd_line *line, uint64_t number, unsigned base, int width) {
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
        width--;
    } while (at > 0 && (number > 0 || width > 0));
    put_bytes(line, digits + at, sizeof digits - at);
}

void nd_line_put_number(struct nd_line *line, uint64_t number, int width) {
    put_in_base(line, number, 10, width);
}

void nd_line_put_hex(struct nd_line *line, uint64_t number) {
    put_in_base(line, number, 16, 1);
}

/* The length of a UTF-8 sequence that begins with `lead`, 0 for a byte that cannot begin one. */
static size_t sequence_length(unsigned char lead) {
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/* Decodes the UTF-8 sequence at `text`. Returns its length; where there is none, 1, and *character is U+FFFD. */
static size_t decode(const char *text, size_t length, uint32_t *character) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char lead = (unsigned char)text[0];
    size_t count = sequence_length(lead);
    *character = 0xfffd;
    if (lead < 0x80) {
        *character = lead;
        return 1;
    }
    if (count == 0 || count > length)
        return 1;
    uint32_t value = lead & (0xffU >> (count + 1));
    for (size_t i = 1; i < count; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return 1;
        value = value << 6 | ((unsigned char)text[i] & 0x3f);
    }
    if (value < smallest[count] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 1;
    *character = value;
    return count;
}

static void put_unicode_escape(struct nd_line *line, uint32_t unit) {
    nd_line_put(line, "\\u");
    put_in_base(line, unit, 16, 4);
}

static void put_character(struct nd_line *line, uint32_t character) {
    if (character == '"' || character == '\\') {
        nd_line_put_char(line, '\\');
        nd_line_put_char(line, (char)character);
    } else if (character >= ' ' && character < 0x7f) {
        nd_line_put_char(line, (char)character);
    } else if (character == '\n') {
        nd_line_put(line, "\\n");
    } else if (character == '\t') {
        nd_line_put(line, "\\t");
    } else if (character < 0x10000) {
        put_unicode_escape(line, character);
    } else {
        put_unicode_escape(line, 0xd800 + ((character - 0x10000) >> 10));
        put_unicode_escape(line, 0xdc00 + ((character - 0x10000) & 0x3ff));
    }
}

void nd_line_put_escaped(struct nd_line *line, const char *text, size_t length, size_t most) {
    char piece_text[16]; /* the longest escape is a surrogate pair: 12 */
    struct nd_line piece;
    uint32_t character;
    size_t written = 0;
    for (size_t at = 0; at < length;) {
        at += decode(text + at, length - at, &character);
        nd_line_start(&piece, piece_text, sizeof piece_text);
        put_character(&piece, character);
        if (written + piece.used > most || piece.used + sizeof "..." > line->size - line->used) {
            nd_line_put(line, "...");
            return;
        }
        put_bytes(line, piece_text, piece.used);
        written += piece.used;
    }
}

void nd_line_put_duration(struct nd_line *line, nd_time time) {
    static const struct {
        nd_time length;
        char name[4];
    } units[] = {{3600 * ND_SEC, "h"}, {60 * ND_SEC, "m"}, {ND_SEC, "s"}, {ND_MSEC, "ms"}};
    if (time <= 0) {
        nd_line_put(line, "off");
        return;
    }
    if (time < ND_NEVER - ND_MSEC)
        time += (ND_MSEC - time % ND_MSEC) % ND_MSEC;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (time < units[i].length)
            continue;
        nd_line_put_number(line, (uint64_t)(time / units[i].length), 1);
        nd_line_put(line, units[i].name);
        time %= units[i].length;
    }
}

void nd_line_put_seconds(struct nd_line *line, nd_time time) {
    if (time < 0)
        time = 0;
    nd_line_put_number(line, (uint64_t)(time / ND_SEC), 1);
    nd_line_put_char(line, '.');
    nd_line_put_number(line, (uint64_t)(time % ND_SEC / ND_MSEC), 3);
}
