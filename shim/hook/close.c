/* close, fclose: clears the record of the descriptor before the kernel can give its number to another file, and bounds
 * a close that waits because of SO_LINGER. */

#include "shim/call/linger.h"
#include "shim/hook/hook.h"
#include "shim/socket/duplicates.h"
#include "shim/socket/owner.h"

static int really_close(int fd, FILE *stream) {
    return stream ? nd_real.fclose(stream) : nd_real.close(fd);
}

/* `stream` is NULL where it is the descriptor that is closed. */
ND_COLD static int close_watched(int fd, FILE *stream, const struct nd_sock *sock) {
    if (!nd_owner_is_caller())
        return really_close(fd, stream);
    struct nd_lingering lingering;
    nd_duplicates_hand_over(fd, sock);
    nd_linger_begin(fd, sock, &lingering);
    nd_close_clear(fd);
    int result = really_close(fd, stream);
    nd_linger_end(fd, &lingering);
    return result;
}

int nd_hook_close(int fd) {
    const struct nd_sock *sock = nd_sock_lookup(fd);
    uint32_t flags = sock ? nd_sock_flags(sock) : 0;
    if (nd_unlikely(flags))
        return close_watched(fd, NULL, sock);
    return nd_real.close(fd);
}
ND_ALIAS_OF(__close, close);

int nd_hook_fclose(FILE *stream) {
    int saved = errno;
    int fd = fileno(stream); /* fails for a stream without a descriptor */
    errno = saved;
    const struct nd_sock *sock = nd_sock_lookup(fd);
    uint32_t flags = sock ? nd_sock_flags(sock) : 0;
    if (nd_unlikely(flags))
        return close_watched(fd, stream, sock);
    return nd_real.fclose(stream);
}
