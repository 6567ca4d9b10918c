/* Which services are put under the library by files of systemd's, and which processes are under it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Calls visit(unit, path, arg) for each unit file and drop-in that preloads the library into a service. */
void enabled_units_each(void (*visit)(const char *unit, const char *path, void *arg), void *arg);

/* Whether one of them names the library at this path. */
bool enabled_units_name(const char *library);

enum enabled_state {
    ENABLED_WITH,
    ENABLED_PASSIVE,   /* it has the library, which passes everything through */
    ENABLED_FORBIDDEN, /* the loader was told of it, and could not execute it */
    ENABLED_WITHOUT,
    ENABLED_UNSEEN, /* this user may not look */
    ENABLED_GONE
};
enum enabled_state enabled_state_of(pid_t pid);
