/* Unpredictable bytes for query ids. Not from c-ares: 1.18 uses rand(3) where /dev/urandom cannot be opened, in a
 * chroot for instance (CVE-2023-31147). */
#pragma once

#include <stddef.h>

/* Fills `buffer`, at most 256 bytes. Never blocks and never fails. Keeps errno. */
void nd_random(void *buffer, size_t size);
