/* USDT probes, for perf, bpftrace and SystemTap: each is a nop and a note in the file. Without <sys/sdt.h>
 * (Debian: systemtap-sdt-dev) there are none.
 *
 *   netdeadline:start   (operation, fd, nanoseconds until the limit or INT64_MAX, name or NULL) a call may wait now
 *   netdeadline:end     (operation, nanoseconds, how: enum nd_slot_end)                         it has ended
 *   netdeadline:expiry  (operation, limit, timeout and elapsed in nanoseconds, observed)        a deadline fired */
#pragma once

#if defined(__has_include)
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define ND_PROBE3 DTRACE_PROBE3
#define ND_PROBE4 DTRACE_PROBE4
#define ND_PROBE5 DTRACE_PROBE5
#endif
#endif

#ifndef ND_PROBE3
#define ND_PROBE3(provider, name, a, b, c) ((void)(a), (void)(b), (void)(c))
#define ND_PROBE4(provider, name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#define ND_PROBE5(provider, name, a, b, c, d, e) ((void)(a), (void)(b), (void)(c), (void)(d), (void)(e))
#endif
