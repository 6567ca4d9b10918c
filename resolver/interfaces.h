/* Reads the host's own addresses by netlink, with a limit: libc can block there for ever, while it holds a process-wide
 * lock (BZ 12926, 20975). */
#pragma once

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
    bool has_ipv4, has_ipv6;                /* has an address other than loopback; both, where nothing could be read */
    struct nd_interface_address *addresses; /* sorted by address; as in glibc, empty unless has_ipv6 */
    size_t count;
};

/* Waits until `deadline`, at most one second. Keeps errno. */
void nd_interfaces_get(struct nd_interfaces *interfaces, nd_time deadline);
void nd_interfaces_free(struct nd_interfaces *interfaces);

/* Returns NULL where `address` is not one of the host's. */
const struct nd_interface_address *nd_interfaces_find(const struct nd_interfaces *interfaces,
                                                      const uint8_t address[16]);

/* Sets native[i] to whether interface indices[i] is not a tunnel; 0 where that is not known. */
void nd_interfaces_native(const uint32_t *indices, int *native, size_t count, nd_time deadline);
