/* Which descriptors are still the sockets that a lookup opened. A daemon may close all descriptors in one thread while
 * another looks a name up, and open something else under the same numbers: that must not be written to, read from or
 * closed (glibc had such a bug, CVE-2013-7423). Async-signal-safe. */
#ifndef ND_RESOLVER_OWN_SOCKETS_H
#define ND_RESOLVER_OWN_SOCKETS_H

#include <stdbool.h>
#include <sys/types.h>

#define ND_OWN_SOCKETS 4

struct nd_own_sockets {
    struct {
        int fd;
        dev_t device;
        ino_t inode;
    } known[ND_OWN_SOCKETS];
    int count;
};

/* `fd` has just been opened. False: there is no room, or it is gone already. */
bool nd_own_add(struct nd_own_sockets *own, int fd);

/* Whether `fd` is the socket it was: one fstat. Keeps errno. */
bool nd_own_has(const struct nd_own_sockets *own, int fd);

/* Forgets `fd`, and closes it where it is still ours. 0, or -1 with EBADF. */
int nd_own_close(struct nd_own_sockets *own, int fd);

#endif
