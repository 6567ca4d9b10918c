/* Notices when the program installs a seccomp filter. */
#pragma once

/* Makes the system call prctl or seccomp, as syscall(2). If it installs a filter, the library adds no system call any
 * more. Async-signal-safe. */
long nd_prctl_by_number(long number, long a, long b, long c, long d, long e, long f);
