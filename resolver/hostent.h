/* Makes a struct hostent from the result of a lookup, in the caller's buffer or in a static one. */
#pragma once

#include <netdb.h>

#include "resolver/host.h"

/* Finishes a gethostby…_r: sets *result, *h_err and errno, and returns what glibc's function returns. */
int nd_finish_hostent(const struct nd_host *host, int family, struct hostent *entry, char *buffer, size_t size,
                      struct hostent **result, int *h_err);

/* One static result, as gethostbyname has it; each function has its own. Its buffer is only replaced by a larger one,
 * and the old one is not freed: another thread may be reading it. */
struct nd_static_hostent {
    struct hostent entry;
    struct nd_static_buffer {
        struct nd_static_buffer *older;
        char bytes[];
    } * buffer;
    size_t size;
    int lock;
};

/* Returns NULL with h_errno set where there is no result. */
struct hostent *nd_finish_static(struct nd_static_hostent *storage, const struct nd_host *host, int family);
