/* The hooked calls by number. */
#pragma once

/* Makes the system call `number` as the hooked function does it, if it has one; else as it is. Result and errno as of
 * syscall(2). */
long nd_syscall_hooked(long number, long a, long b, long c, long d, long e, long f);
