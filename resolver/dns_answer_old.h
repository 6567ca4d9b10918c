/* Reads answers as nss_dns did before glibc 2.36: at the first record that is damaged, or has a name in it that no host
 * may have, it stops, and what came before that record counts. */
#pragma once

#include "resolver/dns_packet.h"
#include "resolver/host.h"

/* Each has its counterpart in dns_answer.c, which calls it where the running libc reads so. */
void nd_old_answer_both(struct nd_host *host, const struct nd_dns_message *first, const struct nd_dns_message *second);
void nd_old_answer_one(struct nd_host *host, const struct nd_dns_message *m, int family);
void nd_old_answer_ptr(struct nd_host *host, const struct nd_dns_message *m);
