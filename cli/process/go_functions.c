#include "cli/process/go_functions.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/process/image.h"
#include "cli/process/memory.h"

enum { MOST_SECTIONS = 256, MOST_NAME = 32 };

/* What the table begins with since Go 1.18; 1.20 has changed its first number, and nothing else that is read here. */
struct header {
    uint32_t magic;
    uint8_t zero[2], quantum, word;
    uint64_t count, files, text, names, units, file_names, lines, entries;
};

struct entry {
    uint32_t address, function; /* from the text's start; from the entries' start */
};

static bool has_table_name(int file, uint64_t at) {
    static const char *const names[] = {".gopclntab", ".data.rel.ro.gopclntab"};
    char name[MOST_NAME] = "";
    if (pread(file, name, sizeof name - 1, (off_t)at) <= 0)
        return false;
    return strcmp(name, names[0]) == 0 || strcmp(name, names[1]) == 0;
}

/* The table's address as the file has it; 0 without one. */
static uint64_t find_section(int file, const Elf64_Ehdr *header) {
    Elf64_Shdr sections[MOST_SECTIONS];
    const size_t count = header->e_shnum < MOST_SECTIONS ? header->e_shnum : MOST_SECTIONS;
    const ssize_t size = (ssize_t)(count * sizeof sections[0]);
    if (header->e_shentsize != sizeof sections[0] || header->e_shstrndx >= count ||
        pread(file, sections, (size_t)size, (off_t)header->e_shoff) != size)
        return 0;
    for (size_t i = 0; i < count; i++)
        if (has_table_name(file, sections[header->e_shstrndx].sh_offset + sections[i].sh_name))
            return sections[i].sh_addr;
    return 0;
}

/* The address that the file has for its own beginning. Go's linker begins above zero also where the system chooses. */
static uint64_t find_beginning(int file, const Elf64_Ehdr *header) {
    Elf64_Phdr part;
    for (int i = 0; i < header->e_phnum && header->e_phentsize == sizeof part; i++)
        if (pread(file, &part, sizeof part, (off_t)(header->e_phoff + (uint64_t)i * sizeof part)) ==
                (ssize_t)sizeof part &&
            part.p_type == PT_LOAD)
            return part.p_vaddr - part.p_offset;
    return 0;
}

static bool take_first(const struct image *image, void *arg) {
    *(uint64_t *)arg = image->start;
    return true;
}

/* Where the table is in the process; 0 without one. The program is the first image of its map, unless the system gives
 * it away from its place. */
static uint64_t find_table(pid_t pid) {
    char path[64];
    Elf64_Ehdr header;
    uint64_t start = 0, address = 0, beginning = 0;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    if (pread(file, &header, sizeof header, 0) == (ssize_t)sizeof header &&
        memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64)
        address = find_section(file, &header);
    if (address && header.e_type == ET_DYN)
        beginning = find_beginning(file, &header);
    close(file);
    if (address && header.e_type == ET_DYN)
        address = image_each(pid, take_first, &start) > 0 ? address - beginning + start : 0;
    return address;
}

bool go_functions_find(struct go_functions *functions, pid_t pid) {
    struct header header;
    const uint64_t table = find_table(pid);
    if (!table || memory_read(pid, table, &header, sizeof header) != 0)
        return false;
    if ((header.magic != 0xfffffff0 && header.magic != 0xfffffff1) || header.word != sizeof(uint64_t) || !header.text ||
        header.count > INT_MAX)
        return false;
    if (header.text > table || table - header.text > UINT32_MAX)
        return false; /* it is still as in the file: the loader has not come to it */
    *functions = (struct go_functions){pid, header.text, header.count, table + header.names, table + header.entries};
    return true;
}

static bool read_entry(const struct go_functions *functions, uint64_t number, struct entry *entry) {
    return memory_read(functions->pid, functions->entries + number * sizeof *entry, entry, sizeof *entry) == 0;
}

bool go_function_name(const struct go_functions *functions, uint64_t address, char *out, size_t size) {
    uint64_t low = 0, high = functions->count;
    struct entry entry;
    struct {
        uint32_t address;
        int32_t name;
    } function;
    if (address < functions->text || address - functions->text > UINT32_MAX)
        return false;
    while (high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;
        if (!read_entry(functions, middle, &entry))
            return false;
        if (entry.address <= address - functions->text)
            low = middle;
        else
            high = middle;
    }
    return functions->count > 0 && read_entry(functions, low, &entry) &&
           memory_read(functions->pid, functions->entries + entry.function, &function, sizeof function) == 0 &&
           function.name >= 0 &&
           memory_read_text(functions->pid, functions->names + (uint32_t)function.name, out, size) == 0;
}
