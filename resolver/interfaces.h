/* The machine's own addresses, by a netlink read with a limit: libc's can wait for ever, and does it under a lock of the
 * whole process (BZ 12926, 20975). */
#ifndef ND_RESOLVER_INTERFACES_H
#define ND_RESOLVER_INTERFACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct nd_interface_address {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    bool deprecated, home;
    uint8_t prefix_length;
    uint32_t index;
};

struct nd_interfaces {
    bool has_ipv4, has_ipv6; /* an address other than the loopback's; both, where nothing could be learned */
    struct nd_interface_address *addresses; /* sorted by address; as in glibc, empty unless has_ipv6 */
    size_t count;
};

/* Waits until `deadline`, and for a second at most. Keeps errno. */
void nd_interfaces_get(struct nd_interfaces *interfaces, nd_time deadline);
void nd_interfaces_free(struct nd_interfaces *interfaces);

/* NULL: not one of ours. */
const struct nd_interface_address *nd_interfaces_find(const struct nd_interfaces *interfaces,
                                                      const uint8_t address[16]);

/* For each of `count` interface indices whether it is something else than a tunnel; 0 where that is not known. */
void nd_interfaces_native(const uint32_t *indices, int *native, size_t count, nd_time deadline);

#endif
