/* The text of /etc/ld.so.preload, as the loader reads it: names with blanks or colons between, and comments behind #. All
 * names of a libnetdeadline.so are ours, whatever directory they name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define PRELOAD_LIST "/etc/ld.so.preload"

/* Finds the next of our names at or behind `from`. Returns where it begins, with its length, or NULL. */
const char *preload_list_next(const char *text, size_t size, const char *from, size_t *length);

/* Returns a copy of the text, which the caller frees, with the name in a line of its own at its end. NULL: no memory. */
char *preload_list_with(const char *text, size_t size, const char *name, size_t *new_size);

/* Takes our names out of the text, in place, and the lines that are empty for it. Returns the new size: 0 where nothing
 * but white space is left. */
size_t preload_list_remove(char *text, size_t size);
