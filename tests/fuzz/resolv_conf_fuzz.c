/* resolv.conf, LOCALDOMAIN and RES_OPTIONS, and the schedule that follows from them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/dns_schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = malloc(size + 1);
    memcpy(copy, data, size);
    copy[size] = '\0';
    const char *variable = size > 0 && data[0] & 1 ? copy : NULL;
    struct nd_resolv_conf *conf =
        nd_resolv_conf_parse((const char *)data, size, size > 0 && data[0] & 2 ? copy : NULL, variable, copy);
    if (conf) {
        struct nd_schedule schedule;
        if (conf->server_count < 1 || conf->server_count > ND_MAX_SERVERS)
            abort();
        nd_schedule_make(&schedule, conf, 0, (nd_time)size * ND_MSEC);
        if (schedule.count < 1 || schedule.count > ND_MAX_SLOTS)
            abort();
        for (int i = 0; i < schedule.count; i++)
            if (schedule.slots[i].wait < 0 || schedule.slots[i].wait > schedule.slots[i].full_wait)
                abort();
    }
    nd_resolv_conf_put(conf);
    free(copy);
    return 0;
}
