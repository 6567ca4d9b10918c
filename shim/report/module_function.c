/* Reads the name of a function from its ELF file. dladdr knows exported functions only, and libunwind takes the nearest
 * symbol, which in a stripped file is that of another function. The file's contents are not trusted: each offset is
 * checked. */
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "shim/raw.h"
#include "shim/report/module.h"

struct file {
    const char *bytes;
    size_t size;
};

static int map_file(const char *path, struct file *file) {
    struct stat status;
    int fd = (int)ND_RAW6(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0, 0, 0);
    if (fd < 0)
        return -1;
    void *bytes = MAP_FAILED;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
        file->size = (size_t)status.st_size;
        bytes = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    ND_RAW3(close, fd, 0, 0);
    file->bytes = bytes;
    return bytes == MAP_FAILED ? -1 : 0;
}

/* The `count` entries of `size` bytes at `offset`, or NULL where they are not entirely in the file. */
static const void *part(const struct file *file, uint64_t offset, uint64_t size, uint64_t count) {
    uint64_t whole;
    if (__builtin_mul_overflow(size, count, &whole) || whole > file->size || offset > file->size - whole)
        return NULL;
    return offset % sizeof(ElfW(Addr)) == 0 || size == 1 ? file->bytes + offset : NULL;
}

/* The name at `offset` of the string table `strings`, or NULL where it does not end in the table. */
static const char *string_at(const struct file *file, const ElfW(Shdr) * strings, uint64_t offset) {
    const char *start = part(file, strings->sh_offset, 1, strings->sh_size);
    if (!start || offset >= strings->sh_size || !memchr(start + offset, '\0', (size_t)(strings->sh_size - offset)))
        return NULL;
    return start + offset;
}

/* The symbol, in one table, of the function that contains `address`; or NULL. */
static const ElfW(Sym) * find_symbol(const struct file *file, const ElfW(Shdr) * table, uint64_t address) {
    uint64_t count = table->sh_size / sizeof(ElfW(Sym));
    const ElfW(Sym) *symbols = part(file, table->sh_offset, sizeof *symbols, count);
    for (uint64_t i = 0; symbols && i < count; i++) {
        unsigned type = symbols[i].st_info & 0xfU;
        if ((type == STT_FUNC || type == STT_GNU_IFUNC) && symbols[i].st_shndx != SHN_UNDEF &&
            address >= symbols[i].st_value && address - symbols[i].st_value < symbols[i].st_size)
            return &symbols[i];
    }
    return NULL;
}

/* Searches every symbol table of the file. */
static const char *find_name(const struct file *file, uint64_t address, uint64_t *start) {
    const ElfW(Ehdr) *header = part(file, 0, sizeof *header, 1);
    if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_shentsize != sizeof(ElfW(Shdr)))
        return NULL;
    const ElfW(Shdr) *sections = part(file, header->e_shoff, sizeof *sections, header->e_shnum);
    for (unsigned i = 0; sections && i < header->e_shnum; i++) {
        const ElfW(Shdr) *table = &sections[i];
        if ((table->sh_type != SHT_SYMTAB && table->sh_type != SHT_DYNSYM) || table->sh_link >= header->e_shnum)
            continue;
        const ElfW(Sym) *symbol = find_symbol(file, table, address);
        if (!symbol)
            continue;
        *start = symbol->st_value;
        return string_at(file, &sections[table->sh_link], symbol->st_name);
    }
    return NULL;
}

bool nd_module_function(const struct nd_module *module, uintptr_t address, char *name, uintptr_t name_size,
                        uintptr_t *start) {
    struct file file;
    uint64_t relative_start;
    if (!module->path[0] || map_file(module->path, &file) != 0)
        return false;
    const char *found = find_name(&file, address - module->base, &relative_start);
    if (found) {
        size_t length = strnlen(found, name_size - 1);
        memcpy(name, found, length);
        name[length] = '\0';
        *start = (uintptr_t)(module->base + relative_start);
    }
    munmap((void *)(uintptr_t)file.bytes, file.size);
    return found != NULL;
}
