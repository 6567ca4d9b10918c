/* Which loaded file an address belongs to, as the loader knows. */
#ifndef ND_REPORT_MODULE_H
#define ND_REPORT_MODULE_H

#include <stdbool.h>
#include <stdint.h>

struct nd_module {
    char path[256];  /* empty where it has no file (the kernel's own page) */
    uintptr_t base;  /* what the file's addresses are relative to */
    uintptr_t start; /* the segment that the address is in */
    uintptr_t end;
    uintptr_t unwinding; /* its .eh_frame_hdr, or 0 */
};

/* Finds the module of `address`. Takes the loader's lock: not async-signal-safe. Makes no system call. */
bool nd_module_find(uintptr_t address, struct nd_module *module);

/* The name of the function at `address` of `module`, from the symbols in its file, which is opened for it; and its start.
 * Returns false where there is none. Allocates nothing. */
bool nd_module_function(const struct nd_module *module, uintptr_t address, char *name, uintptr_t name_size,
                        uintptr_t *start);

#endif
