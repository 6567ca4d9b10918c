/* The lookups of getaddrinfo_a(3): libc makes them by a call inside itself, where its getaddrinfo cannot be replaced. As in
 * libc, up to 16 threads work through the list, and each lookup has its own time. Not async-signal-safe. */
#ifndef ND_RESOLVER_REQUESTS_H
#define ND_RESOLVER_REQUESTS_H

#include <netdb.h>
#include <signal.h>
#include <stdbool.h>

#include "base/clock.h"

#define ND_REQUEST_THREADS 16

typedef int nd_request_lookup(const char *node, const char *service, const struct addrinfo *hints,
                              struct addrinfo **list);

/* Have `look_up` called for each entry that is not NULL, and `event` (may be NULL) told when all are done. 0, or EAI_AGAIN
 * where some could not be taken: their gai_error is EAI_SYSTEM. */
int nd_requests_add(struct gaicb *list[], int count, nd_request_lookup *look_up, const struct sigevent *event);

/* Whether one of `list` is waiting or being looked up here. */
bool nd_requests_any(const struct gaicb *const list[], int count);

/* Wait until none of them is (gai_suspend: until one that was is not). 0, EAI_AGAIN at the deadline, EAI_INTR where a
 * signal handler ran (`all`: goes on then). */
int nd_requests_wait(const struct gaicb *const list[], int count, bool all, nd_time deadline);

/* EAI_CANCELED (and its gai_error, too), EAI_NOTCANCELED (its lookup runs), EAI_ALLDONE (not one of ours). */
int nd_requests_cancel(struct gaicb *request);

#endif
