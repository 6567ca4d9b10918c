/* Whose descriptors the records describe: those of one process and of one descriptor table. Other processes run in the
 * same memory (a child of vfork, and of clone with CLONE_VM), and a thread may have a table of its own (unshare). What
 * these close stays open behind the record. Everything here is async-signal-safe and keeps errno. */
#pragma once

#include <stdbool.h>

/* Whether the calling thread has left the descriptor table that the records describe. */
extern __thread bool nd_owner_left_table __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Whether the records describe the descriptors of the calling thread. Makes one system call (getpid): nothing else
 * tells a child of vfork from its parent. To be asked before a record that is in use is cleared or given to another
 * descriptor. */
bool nd_owner_is_caller(void);

/* Notes which process the records are of, for children that share its memory. Called when the first record is made, and
 * in a forked child. */
void nd_owner_note(void);

/* Called when the calling thread has unshared its descriptor table. With one thread in the process, the records follow
 * it. Makes two system calls. */
void nd_owner_unshared(void);
