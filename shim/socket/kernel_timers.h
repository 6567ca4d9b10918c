/* The kernel timers we put on a connection, and how the program keeps seeing only its own values. */
#ifndef ND_SOCKET_KERNEL_TIMERS_H
#define ND_SOCKET_KERNEL_TIMERS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "shim/settings/live.h"
#include "shim/settings/settings.h"
#include "shim/socket/record.h"

/* Puts RECV, SEND and KEEPALIVE, where they are on, on a connection at its birth (connected, connecting or accepted), or on
 * a datagram socket. No system call where they are off. Never on a listener: accept would give EAGAIN, and accepted
 * sockets inherit. SEND is SO_SNDTIMEO, not TCP_USER_TIMEOUT: that one runs also while no call waits, and cut a reader that
 * paused for 5 s off from the 3.9 MB that the kernel had taken for it. Async-signal-safe; keeps errno. */
void nd_kernel_timers_arm(int fd, struct nd_sock *sock);

/* Does the work of nd_kernel_timers_refresh. */
void nd_kernel_timers_catch_up(int fd, struct nd_sock *sock);

/* Brings a socket up to date with the settings, if they have changed since: its kernel timers and its watch bits. Each slow
 * path does this before it reads a limit. Async-signal-safe; keeps errno. */
static inline void nd_kernel_timers_refresh(int fd, struct nd_sock *sock) {
    nd_live_check();
    if (__builtin_expect(sock->settings != nd_settings_generation, 0))
        nd_kernel_timers_catch_up(fd, sock);
}

/* Whether RECV or SEND, as they hold for this socket, stand on it already: put there by the process that passed it on. Notes
 * that they are ours. Async-signal-safe; keeps errno. */
bool nd_kernel_timers_found(int fd, struct nd_sock *sock);

/* Gives the socket another profile, before it connects: takes off what stands there from an earlier one. A datagram socket gets
 * its new timers at once, a stream when it is connected. Async-signal-safe; keeps errno. */
void nd_kernel_timers_profile(int fd, struct nd_sock *sock, uint8_t profile);

/* SO_SNDTIMEO as the program set it, while ours stands there for the time of a call. A thread that is cancelled in the call, or
 * jumps out of it, leaves ours behind until the next one; the record meanwhile answers for the program's. */
struct nd_borrowed {
    struct timeval before; /* what the kernel had */
    int64_t own;           /* the program's, in microseconds */
    bool ours_before;      /* it was SEND's already */
};

/* Notes what stands in SO_SNDTIMEO, which the caller may then set; false where the kernel does not tell. And puts it back.
 * Async-signal-safe; errno undefined. */
bool nd_kernel_timers_borrow(int fd, struct nd_sock *sock, struct nd_borrowed *borrowed);
void nd_kernel_timers_return(int fd, struct nd_sock *sock, const struct nd_borrowed *borrowed);

/* Gives SO_SNDTIMEO back where a call that was left by a jump or by cancellation has kept it. Async-signal-safe; keeps errno. */
void nd_kernel_timers_give_back(int fd, struct nd_sock *sock);

/* Takes RECV off a socket that turns out to wait for strangers. Async-signal-safe; keeps errno. */
void nd_kernel_timers_disarm(int fd, struct nd_sock *sock);

/* TCP_SYNCNT as a backstop for a non-blocking connect whose waits we do not see. Async-signal-safe; keeps errno. */
void nd_kernel_timers_backstop(int fd, struct nd_sock *sock);

/* The number of SYN retransmissions whose time is not below `timeout`, for every kernel. */
int nd_kernel_timers_syn_count(nd_time timeout);

/* After the program's own setsockopt of a timeout succeeded: notes it and puts ours back in force where it is shorter. Returns
 * whether it was one of those. */
bool nd_kernel_timers_program_set(int fd, struct nd_sock *sock, int level, int name);

/* When the program's own SO_RCVTIMEO (ND_IN) or SO_SNDTIMEO ends a call that begins to wait at `now`; ND_NEVER without one. A system
 * call where none of ours stands there. Async-signal-safe; errno undefined. */
nd_time nd_kernel_timers_own_deadline(int fd, const struct nd_sock *sock, enum nd_direction direction, nd_time now);

/* Gives in *value what the program would read for an option that holds our value; false where the option is not ours. */
bool nd_kernel_timers_read_back(const struct nd_sock *sock, int level, int name, void *value, socklen_t *len);

#endif
