/* Where the library may lie for services: nobody but root can write there, it is no private directory, and it stays. */
#pragma once

#include "cli/library.h"

#define LIBRARY_COPY "/usr/local/lib/netdeadline/libnetdeadline.so"

/* Why services should not load the file from where it lies, in static memory; NULL where they may. */
const char *library_place_is_bad(const char *file);

/* Copies a file, with the directories that it needs there. Nothing is written where the copy is the same already.
 * Returns 0, or -1 with errno set. */
int library_copy(const char *file, const char *to);

/* Removes a copy, and its directory if that is empty then. */
void library_remove_copy(const char *copy);
