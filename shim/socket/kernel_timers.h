/* The kernel's timers that we set on a connection, while the program reads back its own values only. */
#pragma once

#include <sys/socket.h>
#include <sys/time.h>

#include "shim/settings/live.h"
#include "shim/socket/record.h"

/* Sets RECV, SEND and KEEPALIVE, where they are on, on a new connection (connected, connecting or accepted) or a
 * datagram socket. Makes no system call where they are off. They are never set on a listener: accept would fail with
 * EAGAIN, and accepted sockets inherit them. SEND is SO_SNDTIMEO, not TCP_USER_TIMEOUT: that one runs also while no
 * call waits, and ended the connection of a reader that paused for 5 s with 3.9 MB still in the kernel.
 * Async-signal-safe; keeps errno. */
void nd_kernel_timers_arm(int fd, struct nd_sock *sock);

/* Whether a timeout of ours has ever been set on a socket. */
extern _Atomic bool nd_kernel_timers_any_timeout __attribute__((visibility("hidden")));

/* The slow path of nd_kernel_timers_refresh. */
void nd_kernel_timers_catch_up(int fd, struct nd_sock *sock);

/* Brings the kernel timers and watch bits of a socket up to date if the settings have changed. Each slow path does this
 * before it reads a limit. Async-signal-safe; keeps errno. */
static inline void nd_kernel_timers_refresh(int fd, struct nd_sock *sock) {
    nd_live_check();
    if (__builtin_expect(sock->settings != nd_settings_generation, 0))
        nd_kernel_timers_catch_up(fd, sock);
}

/* Whether RECV or SEND, as they hold for this socket, are set on it already, by the process that passed it on; notes
 * that they are ours. Async-signal-safe; keeps errno. */
bool nd_kernel_timers_found(int fd, struct nd_sock *sock);

/* Gives the socket another profile before it connects: restores what timers of an earlier one replaced. A datagram
 * socket gets its new timers at once, a stream when it is connected. Async-signal-safe; keeps errno. */
void nd_kernel_timers_profile(int fd, struct nd_sock *sock, uint8_t profile);

/* SO_SNDTIMEO as the program set it, while ours replaces it for the time of a call. A thread that is cancelled in the
 * call, or jumps out of it, leaves ours in place until the next one; until then the program reads back its own from the
 * record. */
struct nd_borrowed {
    struct timeval before; /* what the kernel had */
    int64_t own;           /* the program's, in microseconds */
    bool ours_before;      /* that was SEND's already */
};

/* Reads SO_SNDTIMEO, which the caller may then set; false where that cannot be read. The other function restores it.
 * Async-signal-safe; errno undefined. */
bool nd_kernel_timers_borrow(int fd, struct nd_sock *sock, struct nd_borrowed *borrowed);
void nd_kernel_timers_return(int fd, struct nd_sock *sock, const struct nd_borrowed *borrowed);

/* Restores SO_SNDTIMEO after a call that was left by a jump or by cancellation. Async-signal-safe; keeps errno. */
void nd_kernel_timers_give_back(int fd, struct nd_sock *sock);

/* Restores SO_RCVTIMEO of a socket that turns out to wait for requests. Async-signal-safe; keeps errno. */
void nd_kernel_timers_disarm(int fd, struct nd_sock *sock);

/* Sets TCP_SYNCNT, as a backstop for a non-blocking connect whose waits we do not see. Async-signal-safe; keeps
 * errno. */
void nd_kernel_timers_backstop(int fd, struct nd_sock *sock);

/* Returns the number of SYN retransmissions that take no less than `timeout` on any kernel. */
int nd_kernel_timers_syn_count(nd_time timeout);

/* Called after the program's own setsockopt succeeded: if the option holds a timer of ours, notes the program's value
 * and sets ours again where it is shorter. Returns whether it was such an option. Async-signal-safe; keeps errno. */
bool nd_kernel_timers_program_set(int fd, struct nd_sock *sock, int level, int name);

/* Returns when the program's own SO_RCVTIMEO (ND_IN) or SO_SNDTIMEO ends a call that begins to wait at `now`; ND_NEVER
 * without one, -1 where that cannot be read. Costs a system call where none of ours is set. Async-signal-safe; errno
 * undefined. */
nd_time nd_kernel_timers_own_deadline(int fd, const struct nd_sock *sock, enum nd_direction direction, nd_time now);

/* Stores in *value what getsockopt must return to the program for an option that holds our value; false for any other
 * option. */
bool nd_kernel_timers_read_back(const struct nd_sock *sock, int level, int name, void *value, socklen_t *len);
