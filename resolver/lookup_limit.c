#include <errno.h>

#include "resolver/dns_schedule.h"
#include "resolver/resolver.h"

void nd_lookup_extend(struct nd_lookup *lookup, const struct nd_resolv_conf *conf) {
    struct nd_resolv_conf *file = NULL;
    nd_time longest = lookup->longest;
    int saved = errno;
    lookup->longest = 0;
    if (longest == 0)
        return;
    if (!conf)
        conf = file = nd_resolv_conf_get();
    nd_time limit = conf ? nd_time_sooner(nd_schedule_patience(conf), longest) : 0;
    nd_resolv_conf_put(file);
    if (limit > lookup->limit) {
        nd_time deadline = nd_lookup_deadline(lookup);
        lookup->deadline = nd_time_after(deadline, limit - lookup->limit);
        lookup->limit = limit;
        if (lookup->on_start)
            lookup->on_start(lookup);
    }
    errno = saved;
}
