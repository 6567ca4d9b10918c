#include <string.h>

#include "resolver/musl_ask.h"
#include "resolver/random.h"

enum { LONGEST_NAME = 253, LONGEST_LABEL = 63, AUTHENTIC_DATA = 32 };

int nd_musl_make_query(uint8_t packet[ND_MUSL_QUERY_MAX], const char *name, int dns_class, int type, bool ad) {
    size_t length = strnlen(name, LONGEST_NAME + 2);
    if (length && name[length - 1] == '.')
        length--;
    if (length > LONGEST_NAME || (length && name[length - 1] == '.') || (unsigned)dns_class > 255 ||
        (unsigned)type > 255)
        return -1;
    memset(packet, 0, ND_MUSL_QUERY_MAX);
    nd_random(packet, 2);
    packet[2] = 1; /* recursion desired */
    packet[3] = ad && nd_musl_needs_both() ? AUTHENTIC_DATA : 0;
    packet[5] = 1;
    size_t at = ND_DNS_HEADER;
    for (size_t i = 0; i < length; i++) { /* a label with its length */
        const char *dot = memchr(name + i, '.', length - i);
        size_t label = dot ? (size_t)(dot - name) - i : length - i;
        if (label == 0 || label > LONGEST_LABEL)
            return -1;
        packet[at] = (uint8_t)label;
        memcpy(packet + at + 1, name + i, label);
        at += label + 1;
        i += label;
    }
    packet[at + 2] = (uint8_t)type;
    packet[at + 4] = (uint8_t)dns_class;
    return (int)at + 5;
}
