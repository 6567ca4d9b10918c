/* sendmmsg and recvmmsg: several messages at a time, each as one of sendmsg's and recvmsg's where the call would wait. */
#ifndef ND_CALL_MMSG_H
#define ND_CALL_MMSG_H

#include <stdbool.h>
#include <sys/socket.h>

/* One call as the program made it; `timeout` is recvmmsg's. */
struct nd_mmsg_call {
    int fd;
    struct mmsghdr *messages;
    unsigned count;
    int flags;
    void *timeout;
    const void *caller; /* the code that made it */
    bool has_time64;    /* it is __recvmmsg64, which gives times in 64 bits (i386) */
};

/* Make the call on a descriptor that is watched, under what bounds it. Async-signal-safe; keep errno on success. */
int nd_sendmmsg(struct nd_mmsg_call *call);
int nd_recvmmsg(const struct nd_mmsg_call *call);

#endif
