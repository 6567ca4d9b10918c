/* The frames of a program in Python, read from the memory of its interpreter: CPython 3.9 to 3.13 of this command's
 * class. Everything read may be nonsense: it is bounded and checked, and what is no frame ends the stack. */
#pragma once

#include <stdio.h>
#include <sys/types.h>

/* Finds the interpreter in the process and its threads, so that less is to be done while a thread is stopped. */
void python_prepare(pid_t pid, pid_t tid);

/* Prints a line for each frame of the thread, the innermost first: "        Python: name (file:line)"; or one that says why
 * there is none, where the program is in a language whose frames could be expected. Prints nothing for others. Needs
 * the thread not to run: it is stopped, or blocked. */
void python_print(pid_t pid, pid_t tid, FILE *to);
