/* The counts in a message header, and in that of a part of its ancillary data, that the program has filled in. musl's
 * structures have an int and padding where glibc and the kernel have a size_t. musl's functions clear the padding, so
 * that programs need not: it may hold anything. More than 32 bits of a count the kernel never takes. */
#pragma once

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

/* Calls `take` with each descriptor that a message carries (SCM_RIGHTS), up to the first part of the ancillary data
 * whose length is wrong: the kernel refuses the message then. The ancillary data must be readable.
 * Async-signal-safe. */
void nd_message_each_descriptor(const struct msghdr *msg, void (*take)(int fd));
