#include "resolver/dns_schedule.h"

#include "resolver/random.h"

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

static void fit_budget(struct nd_schedule *s, nd_time budget, bool several) {
    if (budget < 0)
        budget = 0;
    for (int i = 0; i < s->count; i++) {
        nd_time wait = s->slots[i].full_wait;
        if (s->full_length > budget) /* in microseconds, so that it cannot overflow */
            wait = (wait / ND_USEC) * (budget / ND_USEC) / (s->full_length / ND_USEC) * ND_USEC;
        if (several && wait > budget / 3) /* an unresponsive server costs at most a third */
            wait = budget / 3;
        s->slots[i].wait = wait;
    }
}

void nd_schedule_make(struct nd_schedule *s, const struct nd_resolv_conf *conf, nd_time now, nd_time deadline) {
    int attempts = conf->use_vc || conf->attempts < 1 ? 1 : conf->attempts;
    int first = first_server(conf);
    s->count = 0;
    s->full_length = 0;
    for (int attempt = 0; attempt < attempts; attempt++)
        for (int i = 0; i < conf->server_count && s->count < ND_MAX_SLOTS; i++) {
            int server = (first + i) % conf->server_count;
            nd_time wait = full_wait(conf, server);
            s->slots[s->count++] = (struct nd_slot){.server = server, .wait = wait, .full_wait = wait};
            s->full_length += wait;
        }
    if (deadline != ND_NEVER)
        fit_budget(s, deadline - now, conf->server_count > 1);
}
