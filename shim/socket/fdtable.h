/* The size of the descriptor table that the kernel has allocated for this process. */
#ifndef ND_SOCKET_FDTABLE_H
#define ND_SOCKET_FDTABLE_H

/* Returns it from /proc, by three system calls; -1 where that cannot be read. Async-signal-safe; keeps errno. */
int nd_fdtable_size(void);

#endif
