/* Connections that another program gets: it knows nothing of the timers that stand on them. */
#ifndef ND_SOCKET_HAND_ON_H
#define ND_SOCKET_HAND_ON_H

struct msghdr;

/* Before this process executes another program: restores the program's own SO_RCVTIMEO and SO_SNDTIMEO on each socket
 * that the other will have. If that has the library it sets its own. Changes no memory, which a child of vfork shares
 * with its parent. A parent that goes on receiving from such a connection does so without the kernel's timer. Makes no
 * system call where no timer is set. Async-signal-safe; keeps errno. */
void nd_hand_on_exec(void);

/* After that has failed: sets them again. Async-signal-safe; keeps errno. */
void nd_hand_on_failed(void);

/* Before this process starts another program, and lives on: the same for every socket of its, since what the other gets
 * is not known. The next call on each that may wait sets them again. Async-signal-safe; keeps errno. */
void nd_hand_on_spawn(void);

/* Before a message is sent on `fd`: the same for the sockets whose descriptors it carries (SCM_RIGHTS). To be called
 * where nd_kernel_timers_any_timeout. `msg` may be unreadable. Async-signal-safe; keeps errno. */
void nd_hand_on_message(int fd, const struct msghdr *msg);

#endif
