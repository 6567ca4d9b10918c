/* What DNS answers say about a host, as glibc's nss_dns reads them. */
#ifndef ND_RESOLVER_DNS_ANSWER_H
#define ND_RESOLVER_DNS_ANSWER_H

#include "resolver/dns_packet.h"
#include "resolver/host.h"

struct nd_dns_message {
    uint8_t *bytes; /* NULL: none came */
    size_t size;
    bool by_tcp;
};

/* Both families (glibc's gethostbyname4): the addresses of the first answer, then those of the second. */
void nd_answer_both(struct nd_host *host, const struct nd_dns_message *first, const struct nd_dns_message *second);

/* One family (gethostbyname3): canonical name and aliases too. */
void nd_answer_one(struct nd_host *host, const struct nd_dns_message *answer, int family);

/* The name that belongs to an address. */
void nd_answer_ptr(struct nd_host *host, const struct nd_dns_message *answer);

#endif
