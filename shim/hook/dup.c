/* dup, dup2, dup3: the new descriptor is the same socket, and what had its number before is closed. */
#include "shim/call/linger.h"
#include "shim/hook/hook.h"
#include "shim/socket/duplicates.h"
#include "shim/socket/owner.h"

int nd_hook_dup(int fd) {
    int made = nd_real.dup(fd);
    if (made >= 0)
        nd_duplicates_create(fd, made);
    return made;
}

static int plain(int fd, int to, const int *flags) {
    return flags ? nd_real.dup3(fd, to, *flags) : nd_real.dup2(fd, to);
}

/* Called where `to` has a record. */
ND_COLD static int replace(int fd, int to, const int *flags, const struct nd_sock *sock) {
    if (!nd_owner_is_caller())
        return plain(fd, to, flags);
    struct nd_lingering lingering;
    nd_duplicates_hand_over(to, sock);
    nd_linger_begin(to, sock, &lingering);
    int made = plain(fd, to, flags);
    if (made < 0) {
        nd_linger_undo(to, &lingering);
        return made;
    }
    nd_close_clear(to);
    nd_duplicates_create(fd, to);
    nd_linger_end(to, &lingering);
    return made;
}

static int duplicate_to(int fd, int to, const int *flags) {
    const struct nd_sock *sock = nd_sock_lookup(to);
    if (nd_unlikely(sock && nd_sock_flags(sock)) && fd != to)
        return replace(fd, to, flags, sock);
    int made = plain(fd, to, flags);
    if (made >= 0 && fd != to)
        nd_duplicates_create(fd, made);
    return made;
}

int nd_hook_dup2(int fd, int to) {
    return duplicate_to(fd, to, NULL);
}
ND_ALIAS_OF(__dup2, dup2);

int nd_hook_dup3(int fd, int to, int flags) {
    return duplicate_to(fd, to, &flags);
}
