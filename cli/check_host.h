/* The part of `netdeadline check` that looks at the host: what its libc, its name services and its configuration make of the
 * library. */
#ifndef CLI_CHECK_HOST_H
#define CLI_CHECK_HOST_H

#include <stdbool.h>

#include "cli/findings.h"

/* Whether /etc/ld.so.preload names the library: then it is in every dynamic program, in set-uid ones too. */
bool check_is_preloaded_everywhere(void);

/* What holds for every program here. */
void check_host(struct findings *findings);

/* What the config file and the environment say to the program. */
void check_config(struct findings *findings, const char *program);

#endif
