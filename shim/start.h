/* What is decided when the library starts. */
#ifndef ND_START_H
#define ND_START_H

#include <stdbool.h>
#include <sys/types.h>

/* False until the constructor has run, and for ever in a process that passes through: MODE=off, the disable file, a second
 * copy of the library. */
extern bool nd_active;

/* MODE=observe: nothing is armed that could end or interrupt anything. Calls are timed when they return. */
extern _Atomic bool nd_observing;

/* This process, kept true over fork (but not over vfork, whose child shares this memory); 0 in a
 * process that passes through. */
extern pid_t nd_process;

#endif
