#include "resolver/musl_answer.h"

#include <stdlib.h>
#include <string.h>

#include "resolver/dns_packet.h"

enum { NAME_ROOM = 254, OLD_MOST_RECORDS = 64 };

/* Passes over a name, plain or compressed, and the `fixed` bytes after it. Returns where its last byte was, or 0. */
static size_t skip_name(const uint8_t *packet, size_t size, size_t at, size_t fixed) {
    while (at < size && packet[at] >= 1 && packet[at] <= 127)
        at++;
    if (at + fixed + 1 > size)
        return 0;
    return packet[at] ? at + 1 : at; /* the second byte of a pointer */
}

void nd_musl_records(const uint8_t *packet, size_t size, bool (*take)(void *, const struct nd_musl_record *),
                     void *user) {
    if (size < ND_DNS_HEADER || nd_dns_rcode(packet) != ND_NOERROR)
        return;
    unsigned questions = nd_get16(packet + 4), answers = nd_dns_answer_count(packet);
    if (!nd_musl_takes_long_answers() && questions + answers > OLD_MOST_RECORDS)
        return;
    size_t at = ND_DNS_HEADER;
    for (; questions > 0; questions--) {
        const size_t end = skip_name(packet, size, at, 5);
        if (!end)
            return;
        at = end + 5;
    }
    for (; answers > 0; answers--) {
        const size_t end = skip_name(packet, size, at, 5);
        if (!end || end + 11 > size)
            return;
        struct nd_musl_record r = {.packet = packet, .size = size, .type = packet[end + 2], .at = end + 11};
        r.length = nd_get16(packet + end + 9);
        if (r.length > size - r.at || !take(user, &r))
            return;
        at = r.at + r.length;
    }
}

bool nd_musl_expand(const uint8_t *packet, size_t size, size_t at, char name[ND_MUSL_NAME]) {
    size_t used = 0;
    for (size_t steps = 0; steps < size && at < size; steps += 2) { /* a loop of pointers ends, too */
        const uint8_t length = packet[at];
        if (length & 0xc0) {
            if (at + 1 >= size)
                return false;
            at = (size_t)(length & 0x3f) << 8 | packet[at + 1];
        } else if (length) {
            if (used > 0)
                name[used++] = '.';
            if (at + 1 + length >= size || used + length >= NAME_ROOM)
                return false;
            memcpy(name + used, packet + at + 1, length);
            used += length;
            at += length + 1u;
        } else {
            name[used] = '\0';
            return true;
        }
    }
    return false;
}

static bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool nd_musl_is_host(const char *name) {
    size_t length = strnlen(name, ND_MUSL_NAME - 1);
    if (length == 0 || length >= ND_MUSL_NAME - 1 || mbstowcs(NULL, name, 0) == (size_t)-1)
        return false;
    for (; *name; name++)
        if ((unsigned char)*name < 0x80 && *name != '.' && *name != '-' && !is_alphanumeric(*name))
            return false;
    return true;
}
