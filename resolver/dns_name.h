/* Domain names as text, in wire form (uncompressed) and inside a packet. Any input is safe. Async-signal-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ND_WIRE_NAME_MAX 255 /* with the root label */

/* Converts text to wire form, with the escapes \. and \123. Returns the size, or -1: invalid label, name or escape. */
int nd_name_to_wire(const char *text, uint8_t wire[ND_WIRE_NAME_MAX]);

/* Unpacks the name at offset `at` of the packet. Returns how many bytes it occupies there, or -1. */
int nd_name_unpack(const uint8_t *packet, size_t size, size_t at, uint8_t wire[ND_WIRE_NAME_MAX]);

/* Converts wire form to text, escaped, without a trailing dot (".": the root). Returns the length, or -1: too long. */
int nd_name_to_text(const uint8_t *wire, char *text, size_t size);

/* Whether both names are the same, ignoring case. */
bool nd_name_equal(const uint8_t *a, const uint8_t *b);

/* Whether labels have only letters, digits, '-' and '_', and no '-' in front: glibc accepts no other host name. */
bool nd_name_is_host(const uint8_t *wire);

/* The same for text; for a name with other characters glibc sends no question. */
bool nd_text_is_host(const char *text);
