/* fdopen: what the program does with a connection by stdio is seen by no hook. The kernel's own timers bound it: those
 * of RECV, SEND and KEEPALIVE, which stand already, and from here on that of UNACKED. */
#include "shim/hook/hook.h"
#include "shim/mode.h"
#include "shim/socket/retransmit.h"

FILE *nd_hook_fdopen(int fd, const char *mode) {
    struct nd_sock *sock = nd_sock_lookup(fd);
    if (sock && (nd_sock_flags(sock) & ND_SOCK_STREAM) && nd_active)
        nd_retransmit_bound(fd, sock);
    return nd_real.fdopen(fd, mode);
}
