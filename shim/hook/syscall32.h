/* What only i386 has by number: the socket calls behind one number (socketcall), a select with its arguments in memory,
 * and the calls with 64-bit times. */
#pragma once

#ifdef __i386__
/* The call `number` (socketcall, select, ppoll_time64, pselect6_time64 or recvmmsg_time64) as the hooked function makes
 * it. Result and errno as of syscall(). Async-signal-safe. */
long nd_syscall32(long number, long a, long b, long c, long d, long e, long f);
#endif
