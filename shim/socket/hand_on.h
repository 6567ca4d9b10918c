/* Connections that another program gets: it knows nothing of the timers that stand on them. */
#pragma once

#include <stdbool.h>

struct msghdr;

/* Before this process executes another program: restores the program's own SO_RCVTIMEO and SO_SNDTIMEO on each socket
 * that the other will have. If that has the library it sets its own. A parent whose memory this is, too, receives from
 * such a connection without the kernel's timer from then on (ND_SOCK_HANDED_ON). Makes no system call where no timer is
 * set. Async-signal-safe; keeps errno. */
void nd_hand_on_exec(void);

/* After that has failed: sets them again. Async-signal-safe; keeps errno. */
void nd_hand_on_failed(void);

/* Before this process starts another program: the same for every socket of its, since what the other gets is not known.
 * Where the other does not live on beside this one, the next call on each that may wait sets the timers again.
 * Async-signal-safe; keeps errno. */
void nd_hand_on_spawn(bool lives_on);

/* In a process that has forked: the child may execute another program, and takes the timers back then. */
void nd_hand_on_forked(void);

/* Before a message is sent on `fd`: the same, for good, for the sockets whose descriptors it carries (SCM_RIGHTS). To be called
 * where nd_kernel_timers_any_timeout. `msg` may be unreadable. Async-signal-safe; keeps errno. */
void nd_hand_on_message(int fd, const struct msghdr *msg);
