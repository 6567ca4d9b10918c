/* Who reports, and when: the program and this moment. Async-signal-safe but for nd_origin_start. */
#ifndef ND_REPORT_ORIGIN_H
#define ND_REPORT_ORIGIN_H

#include <time.h>

/* Who says it, and when. */
struct nd_origin {
    struct timespec time; /* of day */
    int pid, tid;
    const char *program;
    unsigned dropped; /* lines that the rate limit has left out since the last one */
};

/* Keeps the name that libc found at start: later the program may write over its argv. Called once, before the program runs. */
void nd_origin_start(void);

/* The program's name, as it was at start. */
const char *nd_origin_program(void);

/* This thread, now; `dropped` is 0. */
struct nd_origin nd_origin_now(void);

#endif
