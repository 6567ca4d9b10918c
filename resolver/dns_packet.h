/* DNS messages in wire form: makes questions and reads the records of answers. Any input is safe. */
#pragma once

#include "resolver/dns_name.h"
#include "resolver/resolv_conf.h"

#define ND_DNS_HEADER 12
#define ND_DNS_QUERY_MAX (ND_DNS_HEADER + ND_WIRE_NAME_MAX + 4 + 11)

enum { ND_NOERROR, ND_FORMERR, ND_SERVFAIL, ND_NXDOMAIN, ND_NOTIMP, ND_REFUSED };
enum { ND_TYPE_A = 1, ND_TYPE_CNAME = 5, ND_TYPE_PTR = 12, ND_TYPE_AAAA = 28, ND_TYPE_OPT = 41 };

/* A message received. */
struct nd_dns_message {
    uint8_t *bytes; /* NULL: none was received */
    size_t size;
    bool by_tcp;
};

static inline unsigned nd_get16(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}

static inline unsigned nd_dns_rcode(const uint8_t *packet) {
    return packet[3] & 15u;
}

#define ND_DNS_TC 2 /* in the third byte: the answer is truncated */

static inline bool nd_dns_truncated(const uint8_t *packet) {
    return (packet[2] & ND_DNS_TC) != 0;
}

static inline unsigned nd_dns_answer_count(const uint8_t *packet) {
    return nd_get16(packet + 6);
}

/* Makes a question for `name`, with `id` and the flags and EDNS record that `conf` asks for. `edns_size` is the answer
 * size to announce. Returns the size, or -1: `name` is invalid. */
int nd_dns_make_query(uint8_t packet[ND_DNS_QUERY_MAX], const char *name, int dns_class, int type,
                      const struct nd_resolv_conf *conf, int edns_size, const uint8_t id[2]);

struct nd_dns_record {
    uint8_t owner[ND_WIRE_NAME_MAX];
    unsigned type, dns_class, size;
    size_t at; /* offset of the data in the packet, which has all `size` bytes */
};

struct nd_dns_reader {
    const uint8_t *packet;
    size_t size, at;
    unsigned left; /* records of the answer section not yet read */
};

/* Begins to read the answer section; copies the question's name. False: no header, or not exactly one question. */
bool nd_dns_read(struct nd_dns_reader *reader, const uint8_t *packet, size_t size, uint8_t question[ND_WIRE_NAME_MAX]);

/* Reads the next record. Returns 1, 0 at the end, or -1: malformed. */
int nd_dns_next(struct nd_dns_reader *reader, struct nd_dns_record *record);

/* Whether a message, of which nothing is known, has the same question as one of ours: name, type and class. */
bool nd_dns_same_question(const uint8_t *ours, size_t our_size, const uint8_t *message, size_t size);
