#include "shim/message.h"

#include <string.h>

static void take_all(const char *fds, size_t size, void (*take)(int fd)) {
    for (size_t at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
        int fd;
        memcpy(&fd, fds + at, sizeof fd);
        take(fd);
    }
}

void nd_message_each_descriptor(const struct msghdr *msg, void (*take)(int fd)) {
    const size_t size = nd_message_control_size(msg);
    for (size_t at = 0; at + CMSG_LEN(0) <= size;) {
        const struct cmsghdr *part = (const void *)((const char *)msg->msg_control + at);
        const size_t length = (uint32_t)part->cmsg_len;
        if (length < CMSG_LEN(0) || length > size - at)
            return;
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS)
            take_all((const char *)part + CMSG_LEN(0), length - CMSG_LEN(0), take);
        at += CMSG_ALIGN(length);
    }
}
