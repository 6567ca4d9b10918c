/* res_query(3) and its relatives as libc makes them, in a helper thread: for a configuration that only libc follows. */
#ifndef ND_RESOLVER_HELPER_RES_H
#define ND_RESOLVER_HELPER_RES_H

#include "resolver/res.h"

/* libc's functions: those on the caller's state, and those on the thread's own. */
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

/* The answer's size, or -1 with errno and h_errno; ETIMEDOUT and TRY_AGAIN at the deadline. The answer's bytes are the
 * caller's also then, and are not written to any more. */
int nd_helper_res(const struct nd_res_real *real, const struct nd_res_call *call, struct nd_lookup *lookup);

#endif
