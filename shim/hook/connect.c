/* connect. */
#include "shim/call/connect.h"
#include "shim/hook/hook.h"
#include "shim/mode.h"

int nd_hook_connect(int fd, const struct sockaddr *addr, socklen_t len) {
    return nd_active ? nd_connect(fd, addr, len) : nd_real.connect(fd, addr, len);
}
ND_ALIAS_OF(__connect, connect);
