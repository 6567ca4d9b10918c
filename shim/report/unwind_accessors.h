/* How libunwind reads this process. */
#ifndef ND_REPORT_UNWIND_ACCESSORS_H
#define ND_REPORT_UNWIND_ACCESSORS_H

#include <libunwind.h>
#include <stdint.h>
#include <ucontext.h>

enum { ND_UNWIND_BLOCKS = 8, ND_UNWIND_BLOCK_WORDS = 32 };

/* What the unwinding of one stack goes by. */
struct nd_unwinding {
    ucontext_t context; /* by getcontext: where it starts */
    struct {
        uintptr_t start; /* 0: empty */
        unw_word_t words[ND_UNWIND_BLOCK_WORDS];
    } blocks[ND_UNWIND_BLOCKS]; /* of memory that has been read; a block lies within one page */
    unsigned next_block;
};

/* How libunwind reads this process. */
extern unw_accessors_t nd_unwind_accessors;

#endif
