/* The size of the descriptor table that the kernel has allocated for this process. */
#pragma once

/* Returns it from /proc, by three system calls; -1 where that cannot be read. Async-signal-safe; keeps errno. */
int nd_fdtable_size(void);
