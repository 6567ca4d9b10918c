/* Reads host data from DNS answers, as glibc's nss_dns does. */
#pragma once

#include "resolver/dns_packet.h"
#include "resolver/host.h"

/* Both families (glibc's gethostbyname4): the addresses of the first answer, then those of the second. */
void nd_answer_both(struct nd_host *host, const struct nd_dns_message *first, const struct nd_dns_message *second);

/* One family (gethostbyname3): canonical name and aliases too. */
void nd_answer_one(struct nd_host *host, const struct nd_dns_message *answer, int family);

/* A PTR answer: the name of an address. */
void nd_answer_ptr(struct nd_host *host, const struct nd_dns_message *answer);
