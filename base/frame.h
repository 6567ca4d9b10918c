/* The stack frame of a call under way. A record of such a call keeps the address at which the frame holds its return
 * address, and that return address: when they differ later, the frame was left by longjmp or cancellation. */
#pragma once

#include <stdint.h>

/* Where the calling function's frame holds its return address: the word above the saved frame pointer, on x86 and
 * aarch64. */
#define ND_FRAME_SLOT() ((uintptr_t *)__builtin_frame_address(0) + 1)
