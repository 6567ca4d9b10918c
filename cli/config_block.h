/* The lines at the head of /etc/netdeadline.conf that `netdeadline enable --system` writes, between two comments. All
 * else in the file is the administrator's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Returns a copy of the text, which the caller frees, with these lines (each with its newline) in the place of those
 * that were written before; without the comments where there are none. NULL: no memory. */
char *config_block_put(const char *text, size_t size, const char *lines, size_t *new_size);

/* The number of the line by which the administrator sets this for every program, counted from 1; 0: none does. */
unsigned config_block_other_line(const char *text, const char *name);
