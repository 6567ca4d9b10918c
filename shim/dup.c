/* dup, dup2, dup3: the copy is the same socket. */
#include "shim/hook.h"
#include "shim/sockets.h"

int nd_hook_dup(int fd) {
    int made = nd_real.dup(fd);
    if (made >= 0)
        nd_sock_copy(fd, made);
    return made;
}

int nd_hook_dup2(int fd, int to) {
    int made = nd_real.dup2(fd, to);
    if (made >= 0 && made != fd)
        nd_sock_copy(fd, made);
    return made;
}
ND_ALIAS_OF(__dup2, dup2);

int nd_hook_dup3(int fd, int to, int flags) {
    int made = nd_real.dup3(fd, to, flags);
    if (made >= 0)
        nd_sock_copy(fd, made);
    return made;
}
