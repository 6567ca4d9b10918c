/* Names as programs give them: to the wire and back gives the same wire name. */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/dns_packet.h"
#include "resolver/numeric.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *name = malloc(size + 1), text[1100];
    memcpy(name, data, size);
    name[size] = '\0';
    uint8_t wire[ND_WIRE_NAME_MAX], again[ND_WIRE_NAME_MAX], packet[ND_DNS_QUERY_MAX];
    struct in_addr v4;
    uint32_t scope;
    struct nd_resolv_conf conf = {.edns0 = true};
    int n = nd_name_to_wire(name, wire);
    if (n > 0) {
        if (nd_name_to_text(wire, text, sizeof text) < 0 || nd_name_to_wire(text, again) != n ||
            memcmp(wire, again, (size_t)n) != 0)
            abort();
        if (nd_dns_make_query(packet, name, 1, 1, &conf, 1200, (uint8_t[]){1, 2}) != ND_DNS_HEADER + n + 15)
            abort();
    }
    nd_text_is_host(name);
    nd_parse_ipv4(name, &v4);
    nd_parse_scope(&in6addr_any, name, &scope);
    free(name);
    return 0;
}
