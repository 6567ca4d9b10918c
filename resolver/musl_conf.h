/* /etc/resolv.conf as musl reads it. */
#pragma once

#include "base/clock.h"
#include "resolver/musl.h"
#include "resolver/resolv_conf.h"

struct nd_musl_conf {
    union nd_server servers[ND_MAX_SERVERS];
    int server_count;
    unsigned ndots, attempts, timeout_s;
    char search[ND_MUSL_NAME]; /* domains, with spaces between them */
};

/* Returns 0, or the errno with which the file cannot be read. */
int nd_musl_conf_read(struct nd_musl_conf *conf);

/* Takes one line over. */
void nd_musl_conf_line(struct nd_musl_conf *conf, char *line);

/* How long musl waits for an answer to one question where no server answers. */
static inline nd_time nd_musl_patience(const struct nd_musl_conf *conf) {
    return conf->timeout_s * ND_SEC;
}
