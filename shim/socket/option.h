/* Options of a socket, by the real functions. Everything here is async-signal-safe; errno is undefined. */
#pragma once

#include <sys/time.h>

#include "shim/real.h"

/* The value of an option that is an int; `otherwise` where the kernel does not tell it. */
static inline int nd_option_get(int fd, int level, int name, int otherwise) {
    int value = 0;
    socklen_t len = sizeof value;
    return nd_real.getsockopt(fd, level, name, &value, &len) == 0 ? value : otherwise;
}

/* The same as the kernel has it, where another library may stand before libc and tell something else. */
static inline int nd_option_of_kernel(int fd, int level, int name, int otherwise) {
    int value = 0;
    socklen_t len = sizeof value;
    return nd_real_getsockopt(fd, level, name, &value, &len) == 0 ? value : otherwise;
}

static inline int nd_option_set(int fd, int level, int name, int value) {
    return nd_real.setsockopt(fd, level, name, &value, sizeof value);
}

#define ND_USEC_PER_SEC 1000000

static inline struct timeval nd_option_timeval(int64_t usec) {
    return (struct timeval){(time_t)(usec / ND_USEC_PER_SEC), (suseconds_t)(usec % ND_USEC_PER_SEC)};
}

/* SO_RCVTIMEO or SO_SNDTIMEO, in microseconds; 0 for none, -1 where the kernel does not tell it. */
static inline int64_t nd_option_get_timeout(int fd, int name) {
    struct timeval value = {0, 0};
    socklen_t len = sizeof value;
    if (nd_real.getsockopt(fd, SOL_SOCKET, name, &value, &len) != 0)
        return -1;
    return (int64_t)value.tv_sec * ND_USEC_PER_SEC + value.tv_usec;
}

static inline int nd_option_set_timeout(int fd, int name, int64_t usec) {
    const struct timeval value = nd_option_timeval(usec);
    return nd_real.setsockopt(fd, SOL_SOCKET, name, &value, sizeof value);
}
