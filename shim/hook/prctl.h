/* Where the program puts itself under a seccomp filter. */
#ifndef ND_HOOK_PRCTL_H
#define ND_HOOK_PRCTL_H

/* The system call prctl or seccomp has succeeded with these arguments: if that began a filter, no system call is added any
 * more. Async-signal-safe. */
void nd_prctl_noted(long number, long first, long second);

#endif
