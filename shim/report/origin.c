#include "shim/report/origin.h"

#include <errno.h>
#include <string.h>

#include "shim/raw.h"

static char program_name[64] = "?";

void nd_origin_start(void) {
    const char *name = program_invocation_short_name;
    size_t length = name ? strnlen(name, sizeof program_name - 1) : 0;
    if (!name)
        return;
    memcpy(program_name, name, length);
    program_name[length] = '\0';
}

const char *nd_origin_program(void) {
    return program_name;
}

struct nd_origin nd_origin_now(void) {
    struct nd_origin origin = {.program = program_name};
    if (clock_gettime(CLOCK_REALTIME, &origin.time) != 0)
        origin.time = (struct timespec){0, 0};
    origin.pid = (int)ND_RAW3(getpid, 0, 0, 0);
    origin.tid = (int)ND_RAW3(gettid, 0, 0, 0);
    return origin;
}
