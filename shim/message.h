/* The counts in a message header, and in that of a part of its ancillary data, that the program has filled in. musl's structures have an int and padding where glibc
 * and the kernel have a size_t. musl's functions clear the padding, so that programs need not: it may hold anything.
 * More than 32 bits of a count the kernel never takes. */
#ifndef ND_MESSAGE_H
#define ND_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* The number of buffers. */
static inline size_t nd_message_buffers(const struct msghdr *msg) {
    return (uint32_t)msg->msg_iovlen;
}

/* The bytes of ancillary data. */
static inline size_t nd_message_control_size(const struct msghdr *msg) {
    return (uint32_t)msg->msg_controllen;
}

/* The bytes of one part of the ancillary data, its header included. */
static inline size_t nd_message_part_size(const struct cmsghdr *part) {
    return (uint32_t)part->cmsg_len;
}

#endif
