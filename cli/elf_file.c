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

/* The entries of a section, and the strings that they name. */
struct entries {
    uint64_t at, end, strings, strings_end;
};

/* Returns those of the section whose header is at `header`; none where they are not in the file. */
static struct entries entries_of(const struct elf_file *file, uint64_t header) {
    uint64_t linked = section_at(file, FIELD(file, header, Shdr, sh_link));
    uint64_t offset = FIELD(file, header, Shdr, sh_offset), size = FIELD(file, header, Shdr, sh_size);
    struct entries found = {.at = offset, .end = offset + size, .strings = FIELD(file, linked, Shdr, sh_offset)};
    if (offset > file->size || size > file->size - offset ||
        __builtin_add_overflow(found.strings, FIELD(file, linked, Shdr, sh_size), &found.strings_end))
        return (struct entries){.at = 0};
    return found;
}

/* Visits the strings that `name_of` gives for the entries, of `size` bytes each, of all sections of a type. */
static void each_name(const struct elf_file *file, uint64_t type, uint64_t size,
                      bool (*name_of)(const struct elf_file *file, uint64_t entry, uint64_t *name),
                      void (*visit)(const char *, void *), void *arg) {
    for (uint64_t i = 0; i < FIELD(file, 0, Ehdr, e_shnum); i++) {
        if (FIELD(file, section_at(file, i), Shdr, sh_type) != type)
            continue;
        const struct entries entries = entries_of(file, section_at(file, i));
        for (uint64_t at = entries.at, offset; at < entries.end; at += size) {
            const char *name =
                name_of(file, at, &offset) ? text_at(file, entries.strings + offset, entries.strings_end) : NULL;
            if (name && name[0])
                visit(name, arg);
        }
    }
}

static bool name_of_undefined(const struct elf_file *file, uint64_t symbol, uint64_t *name) {
    *name = FIELD(file, symbol, Sym, st_name);
    return FIELD(file, symbol, Sym, st_shndx) == SHN_UNDEF;
}

static bool name_of_needed(const struct elf_file *file, uint64_t entry, uint64_t *name) {
    *name = FIELD(file, entry, Dyn, d_un.d_val);
    return FIELD(file, entry, Dyn, d_tag) == DT_NEEDED;
}

void elf_each_import(const struct elf_file *file, void (*visit)(const char *name, void *arg), void *arg) {
    each_name(file, SHT_DYNSYM, SIZE(file, Sym), name_of_undefined, visit, arg);
}

void elf_each_needed(const struct elf_file *file, void (*visit)(const char *name, void *arg), void *arg) {
    each_name(file, SHT_DYNAMIC, SIZE(file, Dyn), name_of_needed, visit, arg);
}
