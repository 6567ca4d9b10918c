/* res_query(3) and related functions made by libc in a helper thread, for a configuration that only libc can follow. */
#pragma once

#include "resolver/res.h"

/* libc's functions: those with a state argument, and those that use the thread's _res. */
struct nd_res_real {
    int (*nquery)(struct __res_state *, const char *, int, int, unsigned char *, int);
    int (*nsearch)(struct __res_state *, const char *, int, int, unsigned char *, int);
    int (*nquerydomain)(struct __res_state *, const char *, const char *, int, int, unsigned char *, int);
    int (*nsend)(struct __res_state *, const unsigned char *, int, unsigned char *, int);
    int (*query)(const char *, int, int, unsigned char *, int);
    int (*search)(const char *, int, int, unsigned char *, int);
    int (*querydomain)(const char *, const char *, int, int, unsigned char *, int);
    int (*send)(const unsigned char *, int, unsigned char *, int);
};

/* Returns the answer's size, or -1 with errno and h_errno; ETIMEDOUT and TRY_AGAIN at the deadline, after which the
 * thread no longer writes to the caller's buffer. */
int nd_helper_res(const struct nd_res_real *real, const struct nd_res_call *call, struct nd_lookup *lookup);
