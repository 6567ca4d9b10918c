/* What the library does in this process: decided by the constructor (start.c), read everywhere. */
#ifndef ND_MODE_H
#define ND_MODE_H

#include <stdbool.h>
#include <sys/types.h>

/* False until the constructor has run, and for ever in a process that passes through: MODE=off, the disable file, a second copy of
 * the library. A seccomp filter that the program installs makes it false again, while other threads read it: so it is atomic, and hidden,
 * which saves the instruction by which the global offset table is read. */
extern _Atomic bool nd_active __attribute__((visibility("hidden")));

/* MODE=observe: nothing is armed that could end or interrupt anything. Calls are timed when they return. */
extern _Atomic bool nd_observing __attribute__((visibility("hidden")));

/* This process, kept true over fork (but not over vfork, whose child shares this memory); 0 in a process that passes through. */
extern pid_t nd_process;

/* libc's __libc_single_threaded, or the address of a zero where libc has none (glibc before 2.32) or where another library stands
 * between us and libc (call/direct_send.c): *nd_one_thread says that the process surely has one thread. */
extern const char *nd_one_thread __attribute__((visibility("hidden")));

#endif
