/* The origin of a report: the program, the thread and the time. All functions but nd_origin_start are
 * async-signal-safe. */
#pragma once

#include <time.h>

struct nd_origin {
    struct timespec time; /* CLOCK_REALTIME */
    int pid, tid;
    const char *program;
    unsigned dropped; /* lines that the rate limit has dropped since the last one */
};

/* Copies the name that libc found at start, since the program may overwrite its argv later. Called once, before the
 * program runs. */
void nd_origin_start(void);

/* The name of the program, as it was at start. */
const char *nd_origin_program(void);

/* The calling thread and the current time; `dropped` is 0. */
struct nd_origin nd_origin_now(void);
