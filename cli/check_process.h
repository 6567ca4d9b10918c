/* The half of `netdeadline check` that looks at a running process. */
#ifndef CLI_CHECK_PROCESS_H
#define CLI_CHECK_PROCESS_H

/* Prints what is found of the process with ID `pid` (digits) and returns the exit status. */
int check_process(const char *pid);

#endif
