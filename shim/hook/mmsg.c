/* sendmmsg, recvmmsg. */
#include <sys/syscall.h>

#include "shim/call/mmsg.h"
#include "shim/hook/by_number.h"
#include "shim/hook/hook.h"
#include "shim/message.h"
#include "shim/mode.h"
#include "shim/readable.h"
#include "shim/socket/discover.h"
#include "shim/socket/hand_on.h"
#include "shim/socket/kernel_timers.h"

enum { MOST = 1024 }; /* of messages that the kernel takes in one call */

#define CALLER __builtin_return_address(0)

ND_COLD static void hand_on(int fd, const struct mmsghdr *messages, unsigned count) {
    for (unsigned i = 0; i < count && i < MOST && nd_readable(&messages[i], sizeof messages[i]); i++)
        nd_hand_on_message(fd, &messages[i].msg_hdr);
}

int nd_hook_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    if (nd_unlikely(nd_kernel_timers_any_timeout))
        hand_on(fd, messages, count);
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_OUT))
        return nd_sendmmsg(&(struct nd_mmsg_call){fd, messages, count, flags, NULL, CALLER, false, false});
    return nd_real.sendmmsg(fd, messages, count, flags);
}

int nd_sendmmsg_by_number(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    if (nd_kernel_timers_any_timeout)
        hand_on(fd, messages, count);
    if (nd_watch(fd) & ND_WATCH_OUT)
        return nd_sendmmsg(&(struct nd_mmsg_call){fd, messages, count, flags, NULL, CALLER, false, true});
    return (int)nd_real.syscall(SYS_sendmmsg, fd, (long)messages, (long)count, flags, 0, 0);
}

#ifdef __i386__
ND_ALIAS_OF(__sendmmsg64, sendmmsg);
#endif

static void discover_received(const struct mmsghdr *messages, int got) {
    for (int i = 0; i < got && nd_active; i++)
        if (nd_message_control_size(&messages[i].msg_hdr) > 0)
            nd_discover_received(&messages[i].msg_hdr);
}

int nd_hook_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout) {
    int got;
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_IN) && !(flags & MSG_ERRQUEUE))
        got = nd_recvmmsg(&(struct nd_mmsg_call){fd, messages, count, flags, timeout, CALLER, false, false});
    else
        got = nd_real.recvmmsg(fd, messages, count, flags, timeout);
    discover_received(messages, got);
    return got;
}

#ifdef __i386__
int nd_hook___recvmmsg64(int fd, struct mmsghdr *messages, unsigned count, int flags, struct nd_timespec64 *timeout) {
    int got;
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_IN) && !(flags & MSG_ERRQUEUE))
        got = nd_recvmmsg(&(struct nd_mmsg_call){fd, messages, count, flags, timeout, CALLER, true, false});
    else
        got = nd_real.__recvmmsg64(fd, messages, count, flags, timeout);
    discover_received(messages, got);
    return got;
}
#endif
