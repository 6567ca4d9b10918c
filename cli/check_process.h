/* The half of `netdeadline check` that looks at a running process. */
#pragma once

/* Prints what is found of the process with ID `pid` (digits) and returns the exit status. */
int check_process(const char *pid);
