/* The stack of another process's thread, read by libunwind. */
#pragma once

#include <stdio.h>
#include <sys/types.h>

/* Loads libunwind. Returns 0, or -1 where the host has none with its ptrace part. */
int stack_start(void);

/* Stops the thread for as long as its stack is read, as a debugger would, and prints a line for each frame, or one that
 * says why there is none. It goes on in any case, also when this command is killed. */
void stack_print(pid_t pid, pid_t tid, FILE *to);
