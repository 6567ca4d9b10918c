/* Telling return addresses on a stack from saved registers and data that point to code, too. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The bytes in front of an address that are looked at. */
enum { RETURN_ADDRESS_BYTES = 8 };

/* Whether `before`, which ends at an address, ends with an instruction that calls a function. Async-signal-safe. */
bool return_address_follows_call(const unsigned char before[RETURN_ADDRESS_BYTES]);
