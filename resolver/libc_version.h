/* The version of the C library that the program runs with, whose answers are followed. */
#ifndef ND_RESOLVER_LIBC_VERSION_H
#define ND_RESOLVER_LIBC_VERSION_H

#include <stdbool.h>

/* Whether it is a glibc before 2.`minor`. Thread-safe. */
bool nd_libc_before(int minor);

#endif
