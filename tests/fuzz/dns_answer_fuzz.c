/* Answers as they come from c-ares, read in every way. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "resolver/dns_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1); /* its end is watched */
    memcpy(copy, data, size);
    struct nd_dns_message m = {copy, size, false}, none = {0};
    for (int way = 0; way < 5; way++) {
        struct nd_host host;
        nd_host_init(&host);
        if (way == 0)
            nd_answer_both(&host, &m, &m);
        else if (way == 1)
            nd_answer_both(&host, &none, &m);
        else if (way == 4)
            nd_answer_ptr(&host, &m);
        else
            nd_answer_one(&host, &m, way == 2 ? AF_INET : AF_INET6);
        if (host.status == ND_SUCCESS && (way == 4 ? !host.canonical : host.count == 0))
            abort();
        if (host.canonical && strlen(host.canonical) > 256)
            abort();
        nd_host_free(&host);
    }
    free(copy);
    return 0;
}
