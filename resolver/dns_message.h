/* The memory of DNS messages that were received. It belongs to the lookup that waits (unfinished.h) until that ends, and
 * is released with it where the lookup is left by a jump. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* NULL: out of memory. */
uint8_t *nd_message_new(size_t size);

/* A new message with a copy of the bytes. */
uint8_t *nd_message_copy(const uint8_t *bytes, size_t size);

/* `bytes` may be NULL. */
void nd_message_free(uint8_t *bytes);
