#include <errno.h>

#include "resolver/dns_schedule.h"
#include "resolver/musl_conf.h"
#include "resolver/resolver.h"

void nd_lookup_extend_to(struct nd_lookup *lookup, nd_time patience) {
    nd_time limit = nd_time_sooner(patience, lookup->longest);
    lookup->longest = 0;
    if (limit > lookup->limit) {
        nd_time deadline = nd_lookup_deadline(lookup);
        lookup->deadline = nd_time_after(deadline, limit - lookup->limit);
        lookup->limit = limit;
        if (lookup->on_start)
            lookup->on_start(lookup);
    }
}

static nd_time patience_of_musl(void) {
    struct nd_musl_conf conf;
    return nd_musl_conf_read(&conf) == 0 ? nd_musl_patience(&conf) : 0;
}

void nd_lookup_extend(struct nd_lookup *lookup, const struct nd_resolv_conf *conf) {
    struct nd_resolv_conf *file = NULL;
    int saved = errno;
    if (lookup->longest == 0)
        return;
    if (!conf && nd_libc_is_musl()) {
        nd_lookup_extend_to(lookup, patience_of_musl());
    } else {
        if (!conf)
            conf = file = nd_resolv_conf_get();
        nd_lookup_extend_to(lookup, conf ? nd_schedule_patience(conf) : 0);
    }
    nd_resolv_conf_put(file);
    errno = saved;
}
