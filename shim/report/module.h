/* Which loaded file an address belongs to, by the lists of the loader. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct nd_module {
    char path[256];  /* empty for what is not a file (the vDSO) */
    uintptr_t base;  /* is added to an address of the file */
    uintptr_t start; /* the segment that the address is in */
    uintptr_t end;
    uintptr_t unwinding; /* its .eh_frame_hdr, or 0 */
};

/* Finds the module of `address`. Takes the loader's lock: not async-signal-safe. Makes no system call. */
bool nd_module_find(uintptr_t address, struct nd_module *module);

/* Finds the name and the start of the function at `address` of `module`, from the symbols in its file, which is mapped
 * for that. Returns false where there is none. Allocates no memory. */
bool nd_module_function(const struct nd_module *module, uintptr_t address, char *name, uintptr_t name_size,
                        uintptr_t *start);
