/* Checks that a descriptor still is the socket that a lookup opened. A daemon may close all descriptors in one thread
 * while another makes a lookup, and open other files under the same numbers, which must not be written to, read from or
 * closed (glibc had such a bug, CVE-2013-7423). Async-signal-safe. */
#pragma once

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

/* Records `fd`, a socket that has just been opened. False, with errno: the program has closed it, and perhaps opened
 * another file under its number; or the table is full or fstat fails, and `fd` is closed. */
bool nd_own_add(struct nd_own_sockets *own, int fd);

/* Whether `fd` still is the recorded socket, by one fstat. Keeps errno. */
bool nd_own_has(const struct nd_own_sockets *own, int fd);

/* Removes `fd`, and closes it where it still is the recorded socket. Returns 0, or -1 with EBADF. */
int nd_own_close(struct nd_own_sockets *own, int fd);
