/* The sections of the config file that another process has read. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "shim/report/expiry_count.h"

/* Stores where the process has its limit from: "[destination 10.0.0.0/8]", "file" above the first section, "default",
 * "environment" or "set"; "line 12" where the file cannot be read as the process would read it, or is newer than the
 * process. It is not escaped. */
void config_section_of(pid_t pid, struct nd_set_where set, char *out, size_t size);

/* Stores the header of the section that line `number` of the file stands in, or "file". Returns 0, or -1 where the file
 * has no such line. The file is the caller's. */
int config_section_in(int fd, unsigned number, char *out, size_t size);
