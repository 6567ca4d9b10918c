/* The sockets of other processes, as the kernel lists them for a network namespace. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { SOCKET_NAME = 160 };

struct socket_info {
    bool is_internet, is_connected; /* is_connected: or connecting */
    char peer[SOCKET_NAME];         /* "192.0.2.1:80", "listening on [::]:80", "unix:/run/x", "socket"; escaped */
};

/* Describes the process's descriptor `fd`. Returns 0, or -1 where it is no socket or cannot be seen. */
int socket_look(pid_t pid, int fd, struct socket_info *info);

/* Forgets the lists that were read, so that the next look sees the connections of then. */
void socket_forget_lists(void);
