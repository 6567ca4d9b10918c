/* nsswitch.conf, decided for three kinds of names. */
#include <stdint.h>
#include <stdlib.h>

#include "resolver/nsswitch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *const names[] = {"host.example", "printer.local", NULL};
    for (int i = 0; i < 3; i++) {
        struct nd_sources sources;
        const char *why = nd_nsswitch_decide(&sources, (const char *)data, size, names[i]);
        if (!why && (sources.count < 1 || sources.count > ND_MAX_SOURCES))
            abort();
    }
    return 0;
}
