/* The names by which the config file, NETDEADLINE_ONLY and NETDEADLINE_SKIP can mean a program. */
#pragma once

#include "base/words.h"

enum { ND_PROGRAM_NAMES = 3 };

struct nd_program {
    char names[ND_PROGRAM_NAMES][256]; /* without directories; empty where there is none */
};

/* Finds the names of this process: that of its executable file, that of the file that was executed (a script, a link),
 * and argv[0]. In a set-uid program the first alone counts, since its user can choose the others. Makes one system
 * call; keeps errno. */
void nd_program_this(struct nd_program *program, bool is_secure);

/* Copies the last part of a path, as far as there is room. */
void nd_program_file_name(char *out, size_t size, const char *path);

/* The same of what a link /proc/PID/exe gave: `length` bytes, with room for one more. The kernel marks the path of a
 * file that is gone; the mark is cut off. */
void nd_program_executable_name(char *out, size_t size, char *target, size_t length);

/* Makes *program one with this single name; directories in it are ignored. */
void nd_program_named(struct nd_program *program, const char *path);

/* Whether one of its names matches the pattern. */
bool nd_program_matches(const struct nd_program *program, struct nd_word pattern);

/* Takes the next name off the front of a list; names are separated by commas and white space. Returns false at its
 * end. */
bool nd_program_next(struct nd_word *list, struct nd_word *name);

/* Whether a pattern of the list matches one of the program's names. */
bool nd_program_in(const struct nd_program *program, struct nd_word list);
