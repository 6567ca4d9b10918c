/* How many descriptors the kernel's table of this process has room for. */
#ifndef ND_SOCKET_FDTABLE_H
#define ND_SOCKET_FDTABLE_H

/* From /proc, three system calls; -1 where that does not tell. Async-signal-safe; keeps errno. */
int nd_fdtable_size(void);

#endif
