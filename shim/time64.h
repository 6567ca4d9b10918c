/* The times of programs that a 32-bit libc (2.34 and later) gives 64-bit ones: gcc -D_TIME_BITS=64. Their calls have names of
 * their own in it: __ppoll64, __select64 ... */
#ifndef ND_TIME64_H
#define ND_TIME64_H

#include <stdint.h>

struct nd_timespec64 {
    int64_t tv_sec;
    int32_t tv_nsec, unused; /* neither libc nor the kernel looks at the last */
};

struct nd_timeval64 {
    int64_t tv_sec, tv_usec;
};

#endif
