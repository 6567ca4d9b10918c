#include "cli/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The value of a field in a file of either class; 0 where the field lies outside the file. */
#define FIELD(file, at, type, name)                                                                                    \
    ((file)->is_64 ? number_at(file, (at) + offsetof(Elf64_##type, name), sizeof(((Elf64_##type *)0)->name))           \
                   : number_at(file, (at) + offsetof(Elf32_##type, name), sizeof(((Elf32_##type *)0)->name)))
#define SIZE(file, type) ((file)->is_64 ? sizeof(Elf64_##type) : sizeof(Elf32_##type))

static uint64_t number_at(const struct elf_file *file, uint64_t offset, size_t size) {
    union {
        unsigned char bytes[8];
        uint16_t two;
        uint32_t four;
        uint64_t eight;
    } number = {{0}};
    if (offset > file->size || file->size - offset < size)
        return 0;
    memcpy(number.bytes, file->bytes + offset, size);
    return size == 1 ? number.bytes[0] : size == 2 ? number.two : size == 4 ? number.four : number.eight;
}

/* The text at `offset`, or NULL unless it ends before `end`. */
static const char *text_at(const struct elf_file *file, uint64_t offset, uint64_t end) {
    if (end > file->size)
        end = file->size;
    if (offset >= end || !memchr(file->bytes + offset, '\0', (size_t)(end - offset)))
        return NULL;
    return (const char *)file->bytes + offset;
}

int elf_open(struct elf_file *file, const char *path) {
    const int order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -1;
    void *bytes = MAP_FAILED;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size >= (off_t)sizeof(Elf32_Ehdr))
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return -1;
    *file = (struct elf_file){.bytes = bytes, .size = (size_t)status.st_size};
    file->is_64 = file->bytes[EI_CLASS] == ELFCLASS64;
    if (memcmp(file->bytes, ELFMAG, SELFMAG) == 0 && file->bytes[EI_DATA] == order)
        return 0;
    elf_close(file);
    return -1;
}

void elf_close(struct elf_file *file) {
    munmap((void *)(uintptr_t)file->bytes, file->size);
}

/* The offset of the header of section `number`; the end of the file where there is no such section. */
static uint64_t section_at(const struct elf_file *file, uint64_t number) {
    uint64_t table = FIELD(file, 0, Ehdr, e_shoff), at;
    if (number >= FIELD(file, 0, Ehdr, e_shnum) || table == 0 ||
        __builtin_add_overflow(table, number * SIZE(file, Shdr), &at))
        return file->size;
    return at;
}

bool elf_has_section(const struct elf_file *file, const char *name) {
    uint64_t names = section_at(file, FIELD(file, 0, Ehdr, e_shstrndx));
    uint64_t texts = FIELD(file, names, Shdr, sh_offset), size = FIELD(file, names, Shdr, sh_size), end;
    if (__builtin_add_overflow(texts, size, &end))
        return false;
    for (uint64_t i = 0; i < FIELD(file, 0, Ehdr, e_shnum); i++) {
        const char *found = text_at(file, texts + FIELD(file, section_at(file, i), Shdr, sh_name), end);
        if (found && strcmp(found, name) == 0)
            return true;
    }
    return false;
}

const char *elf_interpreter(const struct elf_file *file) {
    uint64_t table = FIELD(file, 0, Ehdr, e_phoff), end;
    for (uint64_t i = 0; i < FIELD(file, 0, Ehdr, e_phnum); i++) {
        uint64_t at = table + i * SIZE(file, Phdr);
        if (FIELD(file, at, Phdr, p_type) != PT_INTERP)
            continue;
        uint64_t offset = FIELD(file, at, Phdr, p_offset);
        if (__builtin_add_overflow(offset, FIELD(file, at, Phdr, p_filesz), &end))
            return NULL;
        return text_at(file, offset, end);
    }
    return NULL;
}

/* Visits the undefined symbols of one table, whose header is at `header`. */
static void visit_table(const struct elf_file *file, uint64_t header, void (*visit)(const char *, void *), void *arg) {
    uint64_t strings = section_at(file, FIELD(file, header, Shdr, sh_link)), end;
    uint64_t texts = FIELD(file, strings, Shdr, sh_offset);
    uint64_t symbols = FIELD(file, header, Shdr, sh_offset), size = FIELD(file, header, Shdr, sh_size);
    if (symbols > file->size || size > file->size - symbols ||
        __builtin_add_overflow(texts, FIELD(file, strings, Shdr, sh_size), &end))
        return;
    for (uint64_t at = symbols; at < symbols + size; at += SIZE(file, Sym)) {
        const char *name = FIELD(file, at, Sym, st_shndx) == SHN_UNDEF
                               ? text_at(file, texts + FIELD(file, at, Sym, st_name), end)
                               : NULL;
        if (name && name[0])
            visit(name, arg);
    }
}

void elf_each_import(const struct elf_file *file, void (*visit)(const char *name, void *arg), void *arg) {
    for (uint64_t i = 0; i < FIELD(file, 0, Ehdr, e_shnum); i++)
        if (FIELD(file, section_at(file, i), Shdr, sh_type) == SHT_DYNSYM)
            visit_table(file, section_at(file, i), visit, arg);
}

/* The dynamic section whose header is at `header`. */
static void visit_needed(const struct elf_file *file, uint64_t header, void (*visit)(const char *, void *), void *arg) {
    uint64_t strings = section_at(file, FIELD(file, header, Shdr, sh_link)), end;
    uint64_t texts = FIELD(file, strings, Shdr, sh_offset);
    uint64_t entries = FIELD(file, header, Shdr, sh_offset), size = FIELD(file, header, Shdr, sh_size);
    if (entries > file->size || size > file->size - entries ||
        __builtin_add_overflow(texts, FIELD(file, strings, Shdr, sh_size), &end))
        return;
    for (uint64_t at = entries; at < entries + size; at += SIZE(file, Dyn)) {
        uint64_t name_at = texts + FIELD(file, at, Dyn, d_un.d_val);
        const char *name = FIELD(file, at, Dyn, d_tag) == DT_NEEDED ? text_at(file, name_at, end) : NULL;
        if (name && name[0])
            visit(name, arg);
    }
}

void elf_each_needed(const struct elf_file *file, void (*visit)(const char *name, void *arg), void *arg) {
    for (uint64_t i = 0; i < FIELD(file, 0, Ehdr, e_shnum); i++)
        if (FIELD(file, section_at(file, i), Shdr, sh_type) == SHT_DYNAMIC)
            visit_needed(file, section_at(file, i), visit, arg);
}
