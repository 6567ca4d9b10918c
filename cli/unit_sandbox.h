/* What decides whether the library works in a systemd service: options that would hide its file, that keep the loader
 * from being told of it, or that keep an expiry from being told. */
#pragma once

#include <limits.h>

#include "cli/findings.h"
#include "cli/library.h"
#include "cli/options.h"

/* What the drop-in or the library needs because of them. */
struct unit_needs {
    bool exec_path;                /* the library must be added to ExecPaths= */
    char root[PATH_MAX];           /* the directory that the service takes for /, which needs a copy; "" for none */
    char other_preloads[PATH_MAX]; /* what the service's own LD_PRELOAD names, to stand behind ours; "" for nothing */
};

/* Reports what is in the way, with what the drop-in will do about it, and writes what is needed. `facts` is what
 * unit_facts_ask gave, `file` the library as it will lie on the host. */
void unit_sandbox_check(const char *facts, const char *file, const struct options *options, struct findings *findings,
                        struct unit_needs *needs);

/* Reports which of the service's programs the library cannot help, and why. Where the loader of one knows no $LIB, the
 * library is named by its path from then on. */
void unit_sandbox_check_programs(const char *facts, struct library *library, struct findings *findings);
