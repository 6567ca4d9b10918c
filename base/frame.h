/* A function's own stack frame: a record that stands for a call under way is known by where that frame keeps its return address, and
 * by what stands there. A frame that was left by longjmp or cancellation is recognised that way. */
#ifndef ND_BASE_FRAME_H
#define ND_BASE_FRAME_H

#include <stdint.h>

/* Where the calling function's frame holds its return address: the word above the saved frame pointer, on x86 and aarch64. */
#define ND_FRAME_SLOT() ((uintptr_t *)__builtin_frame_address(0) + 1)

#endif
