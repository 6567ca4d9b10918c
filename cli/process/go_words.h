/* Words in the memory of Go programs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the word may be the address of an object. */
static inline bool go_is_address(uint64_t word) {
    return word >= 4096 && word < (uint64_t)1 << 47 && word % sizeof word == 0;
}

/* Whether `word`, which is not 0, is among the `count` words. */
static inline bool go_has_word(const uint64_t *words, size_t count, uint64_t word) {
    for (size_t i = 0; word && i < count; i++)
        if (words[i] == word)
            return true;
    return false;
}
