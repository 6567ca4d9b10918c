#include "resolver/own_sockets.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static bool give_up(int fd, int error) {
    close(fd);
    errno = error;
    return false;
}

bool nd_own_add(struct nd_own_sockets *own, int fd) {
    struct stat st;
    if (own->count == ND_OWN_SOCKETS)
        return give_up(fd, EMFILE);
    if (fstat(fd, &st) != 0)
        return errno == EBADF ? false : give_up(fd, errno);
    if (!S_ISSOCK(st.st_mode)) {
        errno = EBADF;
        return false;
    }
    own->known[own->count].fd = fd;
    own->known[own->count].device = st.st_dev;
    own->known[own->count].inode = st.st_ino;
    own->count++;
    return true;
}

static int find(const struct nd_own_sockets *own, int fd) {
    int i = own->count - 1;
    while (i >= 0 && own->known[i].fd != fd)
        i--;
    return i;
}

bool nd_own_has(const struct nd_own_sockets *own, int fd) {
    int i = find(own, fd), saved = errno;
    struct stat st;
    bool ours = i >= 0 && fstat(fd, &st) == 0 && st.st_dev == own->known[i].device && st.st_ino == own->known[i].inode;
    errno = saved;
    return ours;
}

int nd_own_close(struct nd_own_sockets *own, int fd) {
    bool ours = nd_own_has(own, fd);
    int i = find(own, fd);
    if (i >= 0)
        own->known[i] = own->known[--own->count];
    if (ours)
        return close(fd);
    errno = EBADF;
    return -1;
}
