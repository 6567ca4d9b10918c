/* What the library does in this process: set by the constructor (start.c), read everywhere. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Whether calls are bounded. False until the constructor has run, and always in a process that the library leaves
 * alone: with MODE=off, the disable file, or a second copy of the library. It becomes false when the program installs a
 * seccomp filter, while other threads read it: therefore it is atomic. It is hidden so that no instruction is spent on
 * reading its address from the global offset table. */
extern _Atomic bool nd_active __attribute__((visibility("hidden")));

/* Whether a seccomp filter was put on all threads at once. Without that a call that another thread had begun before may
 * still make system calls of the library's own, to take back what it has set. */
extern _Atomic bool nd_filter_everywhere __attribute__((visibility("hidden")));

/* MODE=observe: the library sets no timer that could end or interrupt a call. It times calls when they return. */
extern _Atomic bool nd_observing __attribute__((visibility("hidden")));

/* Starts the library, if that has not happened, before its constructor runs. NULL where the code is linked into
 * something else than the library. Keeps errno. Not async-signal-safe, but no program has signal handlers so early. */
extern void (*const nd_start_early)(void) __attribute__((visibility("hidden")));

/* The process's number, updated after fork (but not vfork, whose child shares this memory); 0 where the library leaves
 * the process alone. */
extern pid_t nd_process;

/* Where *nd_one_thread is not 0 the process certainly has a single thread. Points to libc's __libc_single_threaded, or
 * to a zero where libc has none (glibc before 2.32) or another library's hooks stand between this library and libc
 * (call/direct_send.c). */
extern const char *nd_one_thread __attribute__((visibility("hidden")));
