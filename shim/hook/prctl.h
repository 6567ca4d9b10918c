/* Notices when the program installs a seccomp filter. */
#ifndef ND_HOOK_PRCTL_H
#define ND_HOOK_PRCTL_H

/* Called when the system call prctl or seccomp has succeeded with these arguments. If it installed a filter, the
 * library adds no system call any more. Async-signal-safe. */
void nd_prctl_noted(long number, long first, long second);

#endif
