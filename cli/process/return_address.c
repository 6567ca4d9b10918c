#include "cli/process/return_address.h"

#include <string.h>

#ifdef __aarch64__

bool return_address_follows_call(const unsigned char before[RETURN_ADDRESS_BYTES]) {
    uint32_t instruction;
    memcpy(&instruction, &before[RETURN_ADDRESS_BYTES - sizeof instruction], sizeof instruction);
    return (instruction & 0xfc000000) == 0x94000000     /* bl */
           || (instruction & 0xfffffc1f) == 0xd63f0000; /* blr */
}

#else

/* The length of an indirect call, by the bytes behind its first one; 0: it is none. */
static int indirect_length(unsigned char modrm, unsigned char sib) {
    const int mode = modrm >> 6, base = modrm & 7;
    const bool has_sib = mode != 3 && base == 4;
    const bool has_only_displacement = mode == 0 && (has_sib ? (sib & 7) == 5 : base == 5);
    if ((modrm >> 3 & 7) != 2)
        return 0;
    return 2 + has_sib + (mode == 1 ? 1 : mode == 2 || has_only_displacement ? 4 : 0);
}

bool return_address_follows_call(const unsigned char before[RETURN_ADDRESS_BYTES]) {
    enum { END = RETURN_ADDRESS_BYTES };
    if (before[END - 5] == 0xe8)
        return true;
    for (int i = END - 7; i <= END - 2; i++)
        if (before[i] == 0xff && indirect_length(before[i + 1], i + 2 < END ? before[i + 2] : 0) == END - i)
            return true;
    return false;
}

#endif
