/* close: what was known of the descriptor is forgotten before the number can be given to somebody else. */
#include <unistd.h>

#include "shim/hook.h"
#include "shim/scope.h"
#include "shim/sockets.h"
#include "shim/start.h"

/* A child of vfork closes descriptors in memory it shares with its parent, whose sockets stay open. Only sockets that carry
 * a timer of ours are worth asking who we are: without the memory the parent would see that timer's EAGAIN. */
#define TIMED (ND_SOCK_RCVTIMEO | ND_SOCK_SNDTIMEO | ND_SOCK_EXPIRED)

ND_COLD static void forget(int fd, uint32_t flags) {
    if ((flags & TIMED) && nd_process && getpid() != nd_process)
        return;
    nd_scope_drop(fd);
    nd_sock_forget(fd);
}

int nd_hook_close(int fd) {
    const struct nd_sock *sock = nd_sock_peek(fd);
    uint32_t flags = sock ? nd_sock_flags(sock) : 0;
    if (nd_unlikely(flags))
        forget(fd, flags);
    return nd_real.close(fd);
}
ND_ALIAS_OF(__close, close);
