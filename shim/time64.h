/* Times of programs that were built with -D_TIME_BITS=64 for a 32-bit libc (glibc 2.34 and later). Such programs call
 * functions with names of their own: __ppoll64, __select64 and others. */
#pragma once

#include <stdint.h>

struct nd_timespec64 {
    int64_t tv_sec;
    int32_t tv_nsec, unused; /* `unused` is read by neither libc nor the kernel */
};

struct nd_timeval64 {
    int64_t tv_sec, tv_usec;
};
