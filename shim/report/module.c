#include "shim/report/module.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/libc.h"

struct search {
    uintptr_t address;
    struct nd_module *module;
};

/* Sets the path. The loader does not keep the name of the program itself. */
static void set_path(struct nd_module *module, const char *name) {
    const char *path = name && name[0] ? name : "/proc/self/exe";
    size_t length = strlen(path);
    if (path[0] == '/' && length < sizeof module->path)
        memcpy(module->path, path, length + 1);
}

/* musl's loader calls the program what it was called by, which may be anything. */
static bool is_musls_program(const struct dl_phdr_info *info) {
    return nd_libc_is_musl() && getauxval(AT_PHDR) == (uintptr_t)info->dlpi_phdr;
}

static int find_in_headers(struct dl_phdr_info *info, size_t size, void *arg) {
    struct search *search = arg;
    struct nd_module found = {.base = info->dlpi_addr};
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_GNU_EH_FRAME)
            found.unwinding = start;
        if (header->p_type == PT_LOAD && search->address >= start && search->address - start < header->p_memsz) {
            found.start = start;
            found.end = start + header->p_memsz;
        }
    }
    if (found.end == 0)
        return 0;
    set_path(&found, is_musls_program(info) ? NULL : info->dlpi_name);
    *search->module = found;
    return 1;
}

bool nd_module_find(uintptr_t address, struct nd_module *module) {
    struct search search = {address, module};
    return dl_iterate_phdr(find_in_headers, &search) == 1;
}
