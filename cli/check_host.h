/* The part of `netdeadline check` that looks at the host: what its libc, its name services and its configuration make
 * of the library. */
#pragma once

#include <stdbool.h>

#include "cli/findings.h"

/* Whether /etc/ld.so.preload names the library. The loader then puts it into every dynamic program, set-uid ones
 * included. */
bool check_is_preloaded_everywhere(void);

/* Reports what holds for every program of glibc, or of musl, on this host. */
void check_host(struct findings *findings, bool is_for_musl);

/* Reports what the config file and the environment make of the program with this path. */
void check_config(struct findings *findings, const char *program);
