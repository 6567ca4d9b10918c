/* The lookups of getaddrinfo_a(3), which libc makes by an internal call of getaddrinfo that cannot be interposed. As in
 * libc, up to 16 threads process the list, and each lookup has its own limit. Not async-signal-safe. */
#pragma once

#include <netdb.h>
#include <signal.h>
#include <stdbool.h>

#include "base/clock.h"

#define ND_REQUEST_THREADS 16

typedef int nd_request_lookup(const char *node, const char *service, const struct addrinfo *hints,
                              struct addrinfo **list);

/* Calls `look_up` for each entry that is not NULL, and delivers `event` (may be NULL) when all are done. Returns 0, or
 * EAI_AGAIN where some could not be queued: their gai_error is EAI_SYSTEM. */
int nd_requests_add(struct gaicb *list[], int count, nd_request_lookup *look_up, const struct sigevent *event);

/* Whether any of `list` is queued or being looked up here. */
bool nd_requests_any(const struct gaicb *const list[], int count);

/* Waits until all of them are done (gai_suspend: until one more is). Returns 0, EAI_AGAIN at the deadline, or EAI_INTR
 * where a signal handler ran (with `all` the wait goes on). */
int nd_requests_wait(const struct gaicb *const list[], int count, bool all, nd_time deadline);

/* Returns EAI_CANCELED (its gai_error, too), EAI_NOTCANCELED (its lookup runs) or EAI_ALLDONE (not queued here). */
int nd_requests_cancel(struct gaicb *request);
