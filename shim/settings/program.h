/* The names that a program goes by in the config file and in NETDEADLINE_ONLY and _SKIP. */
#ifndef ND_SETTINGS_PROGRAM_H
#define ND_SETTINGS_PROGRAM_H

#include <stdbool.h>

#include "base/words.h"

enum { ND_PROGRAM_NAMES = 3 };

struct nd_program {
    char names[ND_PROGRAM_NAMES][256]; /* without directories; empty where there is none */
};

/* The names of this process: of its executable file, of the file that was executed (a script, a link), and the one it was
 * called by. In a set-uid program the first alone: the others its user could choose. One system call. */
void nd_program_this(struct nd_program *program, bool is_secure);

/* A program with this one name or path. */
void nd_program_named(struct nd_program *program, const char *path);

/* Whether one of its names is what the pattern says. */
bool nd_program_matches(const struct nd_program *program, struct nd_word pattern);

/* Take the next name, parted by commas and white space, off the front of a list. */
bool nd_program_next(struct nd_word *list, struct nd_word *name);

/* Whether a pattern in the list says one of the program's names. */
bool nd_program_in(const struct nd_program *program, struct nd_word list);

#endif
