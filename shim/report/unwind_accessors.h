/* The functions by which libunwind reads this process. */
#pragma once

#include <libunwind.h>
#include <stdint.h>
#include <ucontext.h>

enum { ND_UNWIND_BLOCKS = 8, ND_UNWIND_BLOCK_WORDS = 32 };

/* The unwinding of one stack. */
struct nd_unwinding {
    ucontext_t context; /* where it starts; set by nd_context_note */
    struct {
        uintptr_t start; /* 0: empty */
        unw_word_t words[ND_UNWIND_BLOCK_WORDS];
    } blocks[ND_UNWIND_BLOCKS]; /* memory that has been read; each block is in one page */
    unsigned next_block;
};

extern unw_accessors_t nd_unwind_accessors;
