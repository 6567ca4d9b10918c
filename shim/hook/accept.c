/* accept, accept4. */
#include "shim/call/accept.h"
#include "shim/hook/hook.h"
#include "shim/mode.h"

int nd_hook_accept(int fd, struct sockaddr *addr, socklen_t *len) {
    if (!nd_active)
        return nd_real.accept(fd, addr, len);
    return nd_accept(&(struct nd_accept_call){ND_OPERATION_accept, fd, addr, len, 0});
}

int nd_hook_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags) {
    if (!nd_active)
        return nd_real.accept4(fd, addr, len, flags);
    return nd_accept(&(struct nd_accept_call){ND_OPERATION_accept4, fd, addr, len, flags});
}
