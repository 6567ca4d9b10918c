/* The name by which the config file knows the program of a process. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Stores the name of the file that was executed (a script's, a link's), else that of the process's executable file,
 * else what the process calls itself. It is not escaped. */
void program_name_of(pid_t pid, char *out, size_t size);

/* Stores a pattern that matches the name and stands in a section's header as one word: a character that means something
 * there, or that is not printable ASCII, becomes `?`. */
void program_name_as_pattern(const char *name, char *out, size_t size);
