/* struct hostent made from what was looked up, in the caller's buffer or in a static one. */
#ifndef ND_RESOLVER_HOSTENT_H
#define ND_RESOLVER_HOSTENT_H

#include <netdb.h>

#include "resolver/host.h"

/* Put `host` into `result`, with all it points to in `buffer`. 0, or ERANGE. */
int nd_make_hostent(struct hostent *result, const struct nd_host *host, int family, char *buffer, size_t size);

/* The end of a gethostby…_r: sets *result, *h_err, errno and returns as glibc's does. */
int nd_finish_hostent(const struct nd_host *host, int family, struct hostent *entry, char *buffer, size_t size,
                      struct hostent **result, int *h_err);

/* One static result, as gethostbyname's; each function has its own. Its memory is only ever exchanged for a larger one,
 * and the old one kept: another thread may be reading it. */
struct nd_static_hostent {
    struct hostent entry;
    struct nd_static_buffer {
        struct nd_static_buffer *older;
        char bytes[];
    } * buffer;
    size_t size;
    int lock;
};

/* NULL with h_errno set where there is no result. */
struct hostent *nd_finish_static(struct nd_static_hostent *place, const struct nd_host *host, int family);

#endif
