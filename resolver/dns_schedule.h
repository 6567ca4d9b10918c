/* Which name server is asked when: glibc's timeouts, scaled down so that every server is asked within the budget. */
#pragma once

#include "base/clock.h"
#include "resolver/resolv_conf.h"

#define ND_MAX_SLOTS (ND_MAX_SERVERS * 5)

struct nd_slot {
    int server;
    nd_time wait;       /* until the next slot begins */
    nd_time full_wait;  /* what glibc would wait */
    nd_time libc_start; /* when glibc would ask, counted from the beginning, where no server before answers */
};

struct nd_schedule {
    struct nd_slot slots[ND_MAX_SLOTS];
    int count;
    nd_time full_length; /* how long glibc would wait where no server answers */
};

/* How long glibc would wait for an answer to one question where no server answers. */
nd_time nd_schedule_patience(const struct nd_resolv_conf *conf);

/* Makes the slots in the order in which libc asks the servers of `conf`; where `rotate` is set, each call begins with
 * another one. They are as long as libc's where `deadline` is ND_NEVER; else they are scaled down to end before it. */
void nd_schedule_make(struct nd_schedule *schedule, const struct nd_resolv_conf *conf, nd_time now, nd_time deadline);
