#include "resolver/dns_schedule.h"

#include "resolver/random.h"

#define FIRST_ROUND (5 * ND_SEC)

/* With `rotate`, each query begins with the next server, and the first query of a process with a random one. */
static int first_server(const struct nd_resolv_conf *conf) {
    static unsigned next;
    if (!conf->rotate || conf->server_count < 2)
        return 0;
    unsigned offset = __atomic_fetch_add(&next, 2, __ATOMIC_RELAXED);
    if ((offset & 1) == 0) { /* the low bit marks it as initialized */
        nd_random(&offset, sizeof offset);
        offset |= 1;
        __atomic_store_n(&next, offset + 2, __ATOMIC_RELAXED);
    }
    return (int)((offset >> 1) % (unsigned)conf->server_count);
}

/* As in glibc's res_send.c, the timeout doubles with the server's index and is divided by the number of servers. */
static nd_time full_wait(const struct nd_resolv_conf *conf, int server) {
    int seconds = conf->timeout_s > 0 ? conf->timeout_s << server : conf->timeout_s;
    if (server > 0)
        seconds /= conf->server_count;
    return (seconds > 0 ? seconds : 1) * ND_SEC;
}

/* Scales the waits of some slots down to the budget, each to `most` at most. Returns their sum. */
static nd_time fit(struct nd_slot *slots, int count, nd_time full_length, nd_time budget, nd_time most) {
    nd_time length = 0;
    for (int i = 0; i < count; i++) {
        nd_time wait = slots[i].full_wait;
        if (full_length > budget) /* in microseconds, so that it cannot overflow */
            wait = (wait / ND_USEC) * (budget / ND_USEC) / (full_length / ND_USEC) * ND_USEC;
        slots[i].wait = nd_time_sooner(wait, most);
        length += slots[i].wait;
    }
    return length;
}

/* However long the limit is, the servers are asked for the first time within FIRST_ROUND, so that a dead one costs no
 * more where there is much time. The other rounds have what is left. */
static void fit_budget(struct nd_schedule *s, nd_time budget, int servers) {
    int first = s->count < servers ? s->count : servers;
    nd_time round = 0;
    if (budget < 0)
        budget = 0;
    for (int i = 0; i < first; i++)
        round += s->slots[i].full_wait;
    /* with several servers, an unresponsive one costs at most a third */
    nd_time soon = nd_time_sooner(budget, FIRST_ROUND);
    nd_time used = fit(s->slots, first, s->full_length, soon, servers > 1 ? soon / 3 : soon);
    fit(s->slots + first, s->count - first, s->full_length - round, budget - used, servers > 1 ? budget / 3 : budget);
}

static int rounds(const struct nd_resolv_conf *conf) {
    return conf->use_vc || conf->attempts < 1 ? 1 : conf->attempts < ND_MAX_SLOTS ? conf->attempts : ND_MAX_SLOTS;
}

nd_time nd_schedule_patience(const struct nd_resolv_conf *conf) {
    nd_time length = 0;
    for (int slot = 0; slot < ND_MAX_SLOTS && slot < rounds(conf) * conf->server_count; slot++)
        length = nd_time_after(length, full_wait(conf, slot % conf->server_count));
    return length;
}

void nd_schedule_make(struct nd_schedule *s, const struct nd_resolv_conf *conf, nd_time now, nd_time deadline) {
    int first = first_server(conf);
    s->count = 0;
    s->full_length = 0;
    for (int round = 0; round < rounds(conf); round++)
        for (int i = 0; i < conf->server_count && s->count < ND_MAX_SLOTS; i++) {
            int server = (first + i) % conf->server_count;
            nd_time wait = full_wait(conf, server);
            s->slots[s->count++] =
                (struct nd_slot){.server = server, .wait = wait, .full_wait = wait, .libc_start = s->full_length};
            s->full_length += wait;
        }
    if (deadline != ND_NEVER)
        fit_budget(s, deadline - now, conf->server_count);
}
