#include "resolver/dns_name.h"

#include <string.h>

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Returns the character after a backslash and advances *text past it. -1: invalid. */
static int read_escape(const char **text) {
    const char *p = *text;
    if (!*p)
        return -1;
    if (!is_digit(*p)) {
        *text = p + 1;
        return (unsigned char)*p;
    }
    if (!is_digit(p[1]) || !is_digit(p[2]))
        return -1;
    int value = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
    *text = p + 3;
    return value > 255 ? -1 : value;
}

int nd_name_to_wire(const char *text, uint8_t wire[ND_WIRE_NAME_MAX]) {
    size_t label = 0, at = 1; /* offsets of the label's length byte and of its next byte */
    while (*text) {
        int c = (unsigned char)*text++;
        if (c == '.') {
            size_t length = at - label - 1;
            bool end = *text == '\0';
            if (length == 0) /* "." alone is the root */
                return end && label == 0 ? (wire[0] = 0, 1) : -1;
            wire[label] = (uint8_t)length;
            label = at++;
            if (label >= ND_WIRE_NAME_MAX)
                return -1;
            if (end)
                break;
            continue;
        }
        if (c == '\\' && (c = read_escape(&text)) < 0)
            return -1;
        if (at >= ND_WIRE_NAME_MAX || at - label > 63)
            return -1;
        wire[at++] = (uint8_t)c;
    }
    wire[label] = (uint8_t)(at - label - 1);
    if (wire[label] == 0)
        return (int)at;
    if (at >= ND_WIRE_NAME_MAX)
        return -1;
    wire[at++] = 0;
    return (int)at;
}

int nd_name_unpack(const uint8_t *packet, size_t size, size_t at, uint8_t wire[ND_WIRE_NAME_MAX]) {
    size_t used = 0, out = 0, p = at, steps = 0;
    while (p < size) {
        uint8_t length = packet[p];
        if ((length & 0xc0) == 0xc0) {
            if (p + 1 >= size)
                return -1;
            if (used == 0)
                used = p + 2 - at;
            p = (size_t)(length & 0x3f) << 8 | packet[p + 1];
            steps += 2;
            if (steps >= size) /* more jumps than the packet can hold: a loop */
                return -1;
            continue;
        }
        if (length & 0xc0)
            return -1;
        if (out + length + 1u > ND_WIRE_NAME_MAX || p + 1 + length > size)
            return -1;
        memcpy(wire + out, packet + p, length + 1u);
        out += length + 1u;
        p += length + 1u;
        steps += length + 1u;
        if (length == 0)
            return (int)(used ? used : p - at);
        if (steps >= size && used)
            return -1;
    }
    return -1;
}

int nd_name_to_text(const uint8_t *wire, char *text, size_t size) {
    size_t out = 0;
    if (*wire == 0) {
        if (size < 2)
            return -1;
        memcpy(text, ".", 2);
        return 1;
    }
    while (*wire) {
        if (out > 0) {
            if (out + 1 >= size)
                return -1;
            text[out++] = '.';
        }
        for (uint8_t left = *wire++; left > 0; left--) {
            uint8_t c = *wire++;
            bool escape = strchr("\".;\\()@$", c) != NULL && c != 0;
            bool number = c <= ' ' || c > '~';
            if (out + (number ? 4 : escape ? 2 : 1) >= size)
                return -1;
            if (number) {
                text[out++] = '\\';
                text[out++] = (char)('0' + c / 100);
                text[out++] = (char)('0' + c / 10 % 10);
                text[out++] = (char)('0' + c % 10);
                continue;
            }
            if (escape)
                text[out++] = '\\';
            text[out++] = (char)c;
        }
    }
    text[out] = '\0';
    return (int)out;
}

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool nd_name_equal(const uint8_t *a, const uint8_t *b) {
    while (*a == *b) {
        uint8_t left = *a;
        if (left == 0)
            return true;
        a++, b++;
        for (; left > 0; left--, a++, b++)
            if (lower(*a) != lower(*b))
                return false;
    }
    return false;
}

bool nd_name_is_host(const uint8_t *wire) {
    if (wire[0] > 0 && wire[1] == '-')
        return false;
    while (*wire)
        for (uint8_t left = *wire++; left > 0; left--) {
            uint8_t c = lower(*wire++);
            if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
                return false;
        }
    return true;
}

bool nd_text_is_host(const char *text) {
    uint8_t wire[ND_WIRE_NAME_MAX];
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p > '~')
            return false;
    return nd_name_to_wire(text, wire) >= 0 && nd_name_is_host(wire);
}
