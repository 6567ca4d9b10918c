/* fcntl, fcntl64, ioctl: note changes of the blocking mode, and duplicated descriptors. Every argument is passed on as
 * it is. */
#include <fcntl.h>
#include <sys/ioctl.h>

#include "shim/hook/hook.h"
#include "shim/limit/wait_clock.h"
#include "shim/socket/change.h"
#include "shim/socket/duplicates.h"

static void set_blocking_mode(int fd, bool nonblocking) {
    struct nd_sock *sock = nd_sock_lookup(fd);
    if (!sock || !(nd_sock_flags(sock) & ND_SOCK_KNOWN))
        return;
    nd_sock_change(fd, sock, nonblocking ? ND_SOCK_NONBLOCK : 0, nonblocking ? 0 : ND_SOCK_NONBLOCK);
    if (!nonblocking)
        nd_wait_clock_settle_connect(fd, sock);
    nd_duplicates_update(fd, sock);
}

static void note_change(int fd, int command, const void *arg, int result) {
    if (command == F_SETFL)
        set_blocking_mode(fd, ((uintptr_t)arg & O_NONBLOCK) != 0);
    else if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
        nd_duplicates_create(fd, result);
}

int nd_hook_fcntl(int fd, int command, void *arg) {
    int result = nd_real.fcntl(fd, command, arg);
    if (result >= 0)
        note_change(fd, command, arg, result);
    return result;
}
ND_ALIAS_OF(__fcntl, fcntl);

int nd_hook_fcntl64(int fd, int command, void *arg) {
    int result = nd_real.fcntl64(fd, command, arg);
    if (result >= 0)
        note_change(fd, command, arg, result);
    return result;
}

#ifdef __i386__
ND_ALIAS_OF(__fcntl_time64, fcntl64);
#endif

int nd_hook_ioctl(int fd, unsigned long request, void *arg) {
    int result = nd_real.ioctl(fd, request, arg);
    if (nd_unlikely(request == FIONBIO) && result >= 0)
        set_blocking_mode(fd, *(const int *)arg != 0);
    return result;
}
#ifdef __i386__
ND_ALIAS_OF(__ioctl_time64, ioctl);
#endif
