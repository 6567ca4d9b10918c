/* Sends one or two questions (A and AAAA of a name) to the configured name servers in turn, as res_nsend does in libc.
 * The timeouts are glibc's, scaled down where the budget is shorter. An answer counts even after its server's timeout,
 * while the next server is being asked; a negative one of a server that was asked earlier than libc would have asked it
 * counts only when the servers before it have answered, or had libc's time. */
#pragma once

#include "resolver/dns_question.h"

/* Sets `error`, and lookup->expired at the deadline. Answers received before the deadline are kept. */
void nd_ask(struct nd_ask *ask);
void nd_ask_free(struct nd_ask *ask);
