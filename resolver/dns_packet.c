#include "resolver/dns_packet.h"

#include <string.h>

static void put16(uint8_t *p, unsigned value) {
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

/* glibc announces at most 1200 bytes, so that answers are not fragmented. */
static unsigned edns_size_for(int wanted) {
    return wanted < 512 ? 512 : wanted > 1200 ? 1200 : (unsigned)wanted;
}

int nd_dns_make_query(uint8_t packet[ND_DNS_QUERY_MAX], const char *name, int dns_class, int type,
                      const struct nd_resolv_conf *conf, int edns_size, const uint8_t id[2]) {
    if (dns_class < 0 || dns_class > 0xffff || type < 0 || type > 0xffff)
        return -1;
    memset(packet, 0, ND_DNS_HEADER);
    int n = nd_name_to_wire(name, packet + ND_DNS_HEADER);
    if (n < 0)
        return -1;
    memcpy(packet, id, 2);
    packet[2] = conf->no_recurse ? 0 : 1; /* RD */
    packet[3] = conf->trust_ad ? 0x20 : 0;
    packet[5] = 1;
    int at = ND_DNS_HEADER + n;
    put16(packet + at, (unsigned)type);
    put16(packet + at + 2, (unsigned)dns_class);
    at += 4;
    if (conf->edns0 || conf->dnssec) {
        packet[11] = 1;
        memset(packet + at, 0, 11);
        put16(packet + at + 1, ND_TYPE_OPT);
        put16(packet + at + 3, edns_size_for(edns_size));
        packet[at + 7] = conf->dnssec ? 0x80 : 0; /* DO */
        at += 11;
    }
    return at;
}

bool nd_dns_read(struct nd_dns_reader *r, const uint8_t *packet, size_t size, uint8_t question[ND_WIRE_NAME_MAX]) {
    if (size < ND_DNS_HEADER || nd_get16(packet + 4) != 1)
        return false;
    *r = (struct nd_dns_reader){packet, size, ND_DNS_HEADER, nd_dns_answer_count(packet)};
    int used = nd_name_unpack(packet, size, r->at, question);
    if (used < 0 || r->at + (size_t)used + 4 > size)
        return false;
    r->at += (size_t)used + 4;
    return true;
}

int nd_dns_next(struct nd_dns_reader *r, struct nd_dns_record *record) {
    if (r->left == 0)
        return 0;
    r->left--;
    int used = nd_name_unpack(r->packet, r->size, r->at, record->owner);
    if (used < 0 || r->at + (size_t)used + 10 > r->size)
        return -1;
    const uint8_t *p = r->packet + r->at + used;
    record->type = nd_get16(p);
    record->dns_class = nd_get16(p + 2);
    record->size = nd_get16(p + 8);
    record->at = r->at + (size_t)used + 10;
    if (record->at + record->size > r->size)
        return -1;
    r->at = record->at + record->size;
    return 1;
}

bool nd_dns_same_question(const uint8_t *ours, size_t our_size, const uint8_t *message, size_t size) {
    uint8_t asked[ND_WIRE_NAME_MAX], told[ND_WIRE_NAME_MAX];
    if (size < ND_DNS_HEADER || nd_get16(message + 4) != 1)
        return false;
    int a = nd_name_unpack(ours, our_size, ND_DNS_HEADER, asked);
    int b = nd_name_unpack(message, size, ND_DNS_HEADER, told);
    size_t end = ND_DNS_HEADER + (size_t)b + 4;
    return a >= 0 && b == a && end <= size && end <= our_size && nd_name_equal(asked, told) &&
           memcmp(ours + end - 4, message + end - 4, 4) == 0;
}
