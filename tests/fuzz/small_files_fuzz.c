/* gai.conf, host.conf and services: each parser on any bytes. They read their files themselves, so they are taken in
 * here with another reader. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/file_cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nd_snapshot fuzzed;

static struct nd_snapshot *fuzzed_get(struct nd_file *file) {
    fuzzed.parsed = file->parse ? file->parse(&fuzzed) : NULL;
    fuzzed.destroy = file->destroy;
    return &fuzzed;
}

static void fuzzed_put(struct nd_snapshot *snapshot) {
    if (snapshot->parsed)
        snapshot->destroy(snapshot->parsed);
    snapshot->parsed = NULL;
}

#define nd_file_get fuzzed_get
#define nd_file_put fuzzed_put
#define nd_gai_conf_get fuzzed_gai_conf_get
#define nd_gai_conf_put fuzzed_gai_conf_put
#include "resolver/gai_conf.c"
#define nd_host_conf fuzzed_host_conf
#include "resolver/host_conf.c"
#define nd_service_port fuzzed_service_port
#define nd_service_name fuzzed_service_name
#include "resolver/services.c"

/* A search ends at the last prefix, which fits everything. */
static void check_end(const struct nd_prefix *table, unsigned bits) {
    for (; table->bits != bits; table++)
        if (table->bits > 128 || table->bits < bits)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1), name[32];
    bool multi;
    memcpy(text, data, size);
    text[size] = '\0';
    fuzzed = (struct nd_snapshot){.text = text, .size = size};
    struct nd_gai_conf gai_conf;
    fuzzed_gai_conf_get(&gai_conf);
    check_end(gai_conf.tables.labels, 0);
    check_end(gai_conf.tables.precedences, 0);
    check_end(gai_conf.tables.scopes, 96);
    fuzzed_gai_conf_put(&gai_conf);
    fuzzed_host_conf(&multi);
    for (size_t room = 1; room <= sizeof name; room += 31)
        if (fuzzed_service_name(name, room, size > 0 ? data[0] : 80, "tcp") == 0 && !memchr(data, 0, size) &&
            (strlen(name) >= room || fuzzed_service_port(name, "tcp") < 0))
            abort();
    free(text);
    return 0;
}
