#include "shim/call/send_remainder.h"

#include "shim/message.h"
#include "shim/real.h"

/* The ancillary data that the rest of a message carries too: a record type (kernel TLS) goes with every piece,
 * descriptors and credentials with the first byte only. */
static void add_control(const struct msghdr *msg, struct msghdr *rest) {
    const struct cmsghdr *first = msg->msg_control;
    const size_t size = nd_message_control_size(msg);
    if (size >= sizeof *first && first->cmsg_level != SOL_SOCKET) {
        rest->msg_control = msg->msg_control;
        rest->msg_controllen = size;
    }
}

static ssize_t message_remainder(const struct nd_send_call *call, size_t done, int flags) {
    size_t i = 0;
    const struct iovec *iov = call->msg->msg_iov;
    while (i < nd_message_buffers(call->msg) && done >= iov[i].iov_len)
        done -= iov[i++].iov_len;
    struct msghdr rest = {.msg_name = call->msg->msg_name,
                          .msg_namelen = call->msg->msg_namelen,
                          .msg_iov = call->msg->msg_iov + i,
                          .msg_iovlen = nd_message_buffers(call->msg) - i};
    struct iovec part;
    add_control(call->msg, &rest);
    if (done > 0) { /* a buffer that was sent in part, and with MSG_MORE if others follow */
        part = (struct iovec){(char *)iov[i].iov_base + done, iov[i].iov_len - done};
        flags |= rest.msg_iovlen > 1 ? MSG_MORE : 0;
        rest.msg_iov = &part;
        rest.msg_iovlen = 1;
    }
    return nd_send_message(call, &rest, flags);
}

ssize_t nd_send_remainder(const struct nd_send_call *call, size_t done, int flags) {
    const char *const bytes = (const char *)call->buf + done;
    flags &= ~MSG_ZEROCOPY;
    if (call->msg)
        return message_remainder(call, done, flags);
    if (call->kind == ND_SENDTO)
        return nd_real.sendto(call->fd, bytes, call->len - done, flags, call->to, call->to_len);
    return nd_real.send(call->fd, bytes, call->len - done, flags);
}

enum { BUFFERS_AT_ONCE = 32 }; /* the stack may be a small one */

static ssize_t write_remainder(const struct nd_send_call *call, size_t done) {
    struct iovec rest[BUFFERS_AT_ONCE];
    const struct iovec *iov = call->msg->msg_iov;
    int count = 0;
    size_t i = 0;
    for (; done >= iov[i].iov_len; i++)
        done -= iov[i].iov_len;
    for (; i < nd_message_buffers(call->msg) && count < BUFFERS_AT_ONCE; i++, done = 0)
        rest[count++] = (struct iovec){(char *)iov[i].iov_base + done, iov[i].iov_len - done};
    return nd_real.writev(call->fd, rest, count);
}

ssize_t nd_send_remainder_plainly(const struct nd_send_call *call, size_t done) {
    if (call->kind == ND_WRITE)
        return nd_real.write(call->fd, (const char *)call->buf + done, call->len - done);
    if (call->kind == ND_WRITEV)
        return write_remainder(call, done);
    return nd_send_remainder(call, done, call->flags | MSG_NOSIGNAL);
}
