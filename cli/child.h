/* Runs another program to its end, for at most some time, and keeps what it prints. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { CHILD_OUTPUT = 65536, CHILD_NOT_RUN = -1, CHILD_CUT = -2 };

struct child_result {
    int status;                /* the exit status, 128 and the signal, CHILD_NOT_RUN or CHILD_CUT */
    size_t size;               /* of the output, which ends in a NUL; what does not fit is dropped */
    char output[CHILD_OUTPUT]; /* what went to standard output, and with `errors` to standard error */
};

/* Runs argv[0], which is looked up along PATH, with standard input from /dev/null, and as `user` (0: as this one). After
 * `seconds` it is ended, with its children. With `errors` its standard error is kept with the output, else dropped. */
void child_run(char *const argv[], uid_t user, int seconds, bool errors, struct child_result *result);
