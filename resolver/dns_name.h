/* Domain names: text, wire form (uncompressed), and names inside a packet. Withstands any bytes. Async-signal-safe. */
#ifndef ND_RESOLVER_DNS_NAME_H
#define ND_RESOLVER_DNS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ND_WIRE_NAME_MAX 255 /* with the root label */

/* Text to wire, with the escapes \. and \123. The size, or -1: empty or long label, name too long, broken escape. */
int nd_name_to_wire(const char *text, uint8_t wire[ND_WIRE_NAME_MAX]);

/* Unpack the name at `at` in the packet. How many bytes it takes there, or -1. */
int nd_name_unpack(const uint8_t *packet, size_t size, size_t at, uint8_t wire[ND_WIRE_NAME_MAX]);

/* Wire to text without a dot at the end ("." for the root), escaped where needed. The length, or -1: no room. */
int nd_name_to_text(const uint8_t *wire, char *text, size_t size);

/* Same name, case ignored. */
bool nd_name_equal(const uint8_t *a, const uint8_t *b);

/* Labels of letters, digits, '-' and '_' only, and no '-' in front: glibc takes no other name for a host's. */
bool nd_name_is_host(const uint8_t *wire);

/* The same of a text; a name with other characters is not even asked for. */
bool nd_text_is_host(const char *text);

#endif
