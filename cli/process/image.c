#include "cli/process/image.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/process/memory.h"

enum { MOST_SEGMENTS = 64, MOST_DYNAMIC = 256, MOST_CHAIN = 4096, MOST_NAME = 64 };

/* What is needed of an object to look up a symbol in it. */
struct object {
    pid_t pid;
    bool is_64;
    uint64_t moved; /* what is added to its addresses */
    uint64_t symbols, strings, gnu_hash, hash;
    uint64_t found_size; /* of the symbol that was found last */
};

int image_each(pid_t pid, bool (*visit)(const struct image *image, void *arg), void *arg) {
    char name[64], *line = NULL;
    size_t room = 0;
    snprintf(name, sizeof name, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(name, "re");
    if (!maps)
        return -1;
    int found = 0;
    while (!found && getline(&line, &room, maps) > 0) {
        struct image image;
        uint64_t offset, inode;
        char readable;
        int path = 0;
        if (sscanf(line, "%" SCNx64 "-%*x %c%*s %" SCNx64 " %*s %" SCNu64 " %n", &image.start, &readable, &offset,
                   &inode, &path) < 4 ||
            readable != 'r' || offset != 0 || inode == 0 || path == 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(image.path, sizeof image.path, "%s", line + path);
        found = visit(&image, arg);
    }
    int error = errno;
    if (!found && ferror(maps))
        found = -1; /* ESRCH: it ended while we read; EPERM: not ours to see */
    free(line);
    fclose(maps);
    errno = error;
    return found;
}

static uint32_t read_word(const struct object *object, uint64_t address, bool *good) {
    uint32_t word = 0;
    *good = *good && memory_read(object->pid, address, &word, sizeof word) == 0;
    return word;
}

static void note_dynamic(struct object *object, int64_t tag, uint64_t value) {
    /* On most machines the loader has added the base address already. */
    uint64_t address = value < object->moved ? value + object->moved : value;
    switch (tag) {
    case DT_SYMTAB:
        object->symbols = address;
        break;
    case DT_STRTAB:
        object->strings = address;
        break;
    case DT_HASH:
        object->hash = address;
        break;
    case DT_GNU_HASH:
        object->gnu_hash = address;
        break;
    default:
        break;
    }
}

static bool read_dynamic(struct object *object, uint64_t address, uint64_t size) {
    union {
        Elf64_Dyn wide[MOST_DYNAMIC];
        Elf32_Dyn narrow[MOST_DYNAMIC];
    } table;
    size_t entry = object->is_64 ? sizeof(Elf64_Dyn) : sizeof(Elf32_Dyn);
    size_t count = size / entry < MOST_DYNAMIC ? (size_t)(size / entry) : MOST_DYNAMIC;
    if (memory_read(object->pid, address, &table, count * entry) != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t tag = object->is_64 ? table.wide[i].d_tag : table.narrow[i].d_tag;
        if (tag == DT_NULL)
            break;
        note_dynamic(object, tag, object->is_64 ? table.wide[i].d_un.d_ptr : table.narrow[i].d_un.d_ptr);
    }
    return object->symbols && object->strings && (object->hash || object->gnu_hash);
}

/* Reads the headers. Returns false for what is no object of this machine's byte order. */
static bool open_object(struct object *object, pid_t pid, uint64_t start) {
    union {
        unsigned char ident[EI_NIDENT];
        Elf64_Ehdr wide;
        Elf32_Ehdr narrow;
    } header;
    const int order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
    *object = (struct object){.pid = pid};
    if (memory_read(pid, start, &header, sizeof header) != 0 || memcmp(header.ident, ELFMAG, SELFMAG) != 0 ||
        header.ident[EI_DATA] != order)
        return false;
    object->is_64 = header.ident[EI_CLASS] == ELFCLASS64;
    uint64_t table = object->is_64 ? header.wide.e_phoff : header.narrow.e_phoff, dynamic = 0, size = 0;
    unsigned count = object->is_64 ? header.wide.e_phnum : header.narrow.e_phnum;
    bool seen_load = false;
    for (unsigned i = 0; i < count && i < MOST_SEGMENTS; i++) {
        Elf64_Phdr wide;
        Elf32_Phdr narrow;
        size_t entry = object->is_64 ? sizeof wide : sizeof narrow;
        if (memory_read(pid, start + table + i * entry, object->is_64 ? (void *)&wide : (void *)&narrow, entry) != 0)
            return false;
        uint32_t type = object->is_64 ? wide.p_type : narrow.p_type;
        uint64_t address = object->is_64 ? wide.p_vaddr : narrow.p_vaddr;
        if (type == PT_LOAD && !seen_load) {
            object->moved = start - (address & ~(uint64_t)4095);
            seen_load = true;
        } else if (type == PT_DYNAMIC) {
            dynamic = address;
            size = object->is_64 ? wide.p_memsz : narrow.p_memsz;
        }
    }
    return seen_load && dynamic && read_dynamic(object, dynamic + object->moved, size);
}

/* The address of symbol `number` if it is defined and called `name`. */
static uint64_t symbol_called(struct object *object, uint32_t number, const char *name) {
    char text[MOST_NAME];
    Elf64_Sym wide;
    Elf32_Sym narrow;
    size_t entry = object->is_64 ? sizeof wide : sizeof narrow, length = strlen(name) + 1;
    uint64_t at = object->symbols + (uint64_t)number * entry;
    if (length > sizeof text ||
        memory_read(object->pid, at, object->is_64 ? (void *)&wide : (void *)&narrow, entry) != 0)
        return 0;
    uint32_t offset = object->is_64 ? wide.st_name : narrow.st_name;
    if ((object->is_64 ? wide.st_shndx : narrow.st_shndx) == SHN_UNDEF ||
        memory_read(object->pid, object->strings + offset, text, length) != 0 || memcmp(text, name, length) != 0)
        return 0;
    object->found_size = object->is_64 ? wide.st_size : narrow.st_size;
    return object->moved + (object->is_64 ? wide.st_value : narrow.st_value);
}

static uint64_t find_by_gnu_hash(struct object *object, const char *name) {
    bool good = true;
    uint32_t hash = 5381;
    for (const char *c = name; *c; c++)
        hash = hash * 33 + (unsigned char)*c;
    uint32_t buckets = read_word(object, object->gnu_hash, &good);
    uint32_t first = read_word(object, object->gnu_hash + 4, &good);
    uint32_t bloom = read_word(object, object->gnu_hash + 8, &good);
    if (!good || buckets == 0)
        return 0;
    uint64_t bucket = object->gnu_hash + 16 + (uint64_t)bloom * (object->is_64 ? 8 : 4);
    uint64_t chain = bucket + (uint64_t)buckets * 4;
    uint32_t number = read_word(object, bucket + (uint64_t)(hash % buckets) * 4, &good);
    for (int i = 0; good && number >= first && i < MOST_CHAIN; i++, number++) {
        uint32_t its = read_word(object, chain + (uint64_t)(number - first) * 4, &good);
        uint64_t found = good && (its | 1) == (hash | 1) ? symbol_called(object, number, name) : 0;
        if (found || (its & 1))
            return found;
    }
    return 0;
}

static uint64_t find_by_hash(struct object *object, const char *name) {
    bool good = true;
    uint32_t hash = 0;
    for (const char *c = name; *c; c++) {
        hash = (hash << 4) + (unsigned char)*c;
        hash = (hash ^ ((hash & 0xf0000000) >> 24)) & 0x0fffffff;
    }
    uint32_t buckets = read_word(object, object->hash, &good);
    if (!good || buckets == 0)
        return 0;
    uint64_t chain = object->hash + 8 + (uint64_t)buckets * 4;
    uint32_t number = read_word(object, object->hash + 8 + (uint64_t)(hash % buckets) * 4, &good);
    for (int i = 0; good && number != STN_UNDEF && i < MOST_CHAIN; i++) {
        uint64_t found = symbol_called(object, number, name);
        if (found)
            return found;
        number = read_word(object, chain + (uint64_t)number * 4, &good);
    }
    return 0;
}

static uint64_t find_symbol(struct object *object, pid_t pid, const struct image *image, const char *name) {
    if (!open_object(object, pid, image->start))
        return 0;
    return object->gnu_hash ? find_by_gnu_hash(object, name) : find_by_hash(object, name);
}

uint64_t image_symbol(pid_t pid, const struct image *image, const char *name) {
    struct object object;
    return find_symbol(&object, pid, image, name);
}

bool image_symbol_has(pid_t pid, const struct image *image, const char *name, uint64_t address) {
    struct object object;
    const uint64_t start = find_symbol(&object, pid, image, name);
    return start && address >= start && address - start < object.found_size;
}
