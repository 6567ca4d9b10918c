/* The command's search for a symbol in the objects of another process: ELF images that were made to fool it. They
 * stand in this process's own memory, with a hole behind them. */
#include "cli/process/image.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cli/process/memory.h"
#include "tests/unit/unit.h"

#define NAME "netdeadline_state"

enum { SYMBOLS = 3, VALUE = 0x1230, CHAINS = 3, SIZE = 1 << 20, MOST_READS = 4 * 4096 };

/* An object with one symbol of that name, in either class. */
struct wide {
    Elf64_Ehdr header;
    Elf64_Phdr segments[3];
    Elf64_Dyn dynamic[6];
    Elf64_Sym symbols[SYMBOLS];
    char strings[64];
    uint32_t hash[2 + 1 + CHAINS];
    struct {
        uint32_t buckets, first, bloom, shift;
        uint64_t filter;
        uint32_t bucket, chain[CHAINS];
    } gnu_hash;
};

struct narrow {
    Elf32_Ehdr header;
    Elf32_Phdr segments[2];
    Elf32_Dyn dynamic[4];
    Elf32_Sym symbols[SYMBOLS];
    char strings[64];
    uint32_t hash[2 + 1 + CHAINS];
};

static char *memory;
static struct wide *wide;

static uint32_t gnu_hash_of(const char *name) {
    uint32_t hash = 5381;
    while (*name)
        hash = hash * 33 + (unsigned char)*name++;
    return hash;
}

static void fill_ident(unsigned char *ident, unsigned char class) {
    memcpy(ident, ELFMAG, SELFMAG);
    ident[EI_CLASS] = class;
    ident[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
}

/* A hash table of one bucket, in which the symbols stand in order: 2, then 1. */
static void fill_hash(uint32_t *hash) {
    const uint32_t good[] = {1, CHAINS, 2, 0, 0, 1};
    memcpy(hash, good, sizeof good);
}

static void start(void) {
    if (!memory) {
        memory = mmap(NULL, SIZE + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        munmap(memory + SIZE, 4096);
    }
    memset(memory, 0, SIZE);
    wide = (struct wide *)memory;
    fill_ident(wide->header.e_ident, ELFCLASS64);
    wide->header.e_phoff = offsetof(struct wide, segments);
    wide->header.e_phnum = 2;
    wide->segments[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_memsz = SIZE};
    wide->segments[1] =
        (Elf64_Phdr){.p_type = PT_DYNAMIC, .p_vaddr = offsetof(struct wide, dynamic), .p_memsz = sizeof wide->dynamic};
    wide->dynamic[0] = (Elf64_Dyn){DT_SYMTAB, {offsetof(struct wide, symbols)}};
    wide->dynamic[1] = (Elf64_Dyn){DT_STRTAB, {offsetof(struct wide, strings)}};
    wide->dynamic[2] = (Elf64_Dyn){DT_HASH, {offsetof(struct wide, hash)}};
    memcpy(wide->strings, "\0other\0" NAME, sizeof "\0other\0" NAME);
    wide->symbols[1] = (Elf64_Sym){.st_name = 7, .st_shndx = 1, .st_value = VALUE};
    wide->symbols[2] = (Elf64_Sym){.st_name = 1, .st_shndx = 1, .st_value = 1};
    fill_hash(wide->hash);
    wide->gnu_hash.buckets = wide->gnu_hash.first = wide->gnu_hash.bloom = wide->gnu_hash.bucket = 1;
    wide->gnu_hash.chain[0] = gnu_hash_of(NAME) & ~1U;
    wide->gnu_hash.chain[1] = gnu_hash_of("other") | 1;
}

static void use_gnu_hash(void) {
    wide->dynamic[2] = (Elf64_Dyn){DT_GNU_HASH, {offsetof(struct wide, gnu_hash)}};
}

static unsigned reads;

int memory_read(pid_t pid, uint64_t address, void *to, size_t size) {
    const struct iovec here = {to, size}, there = {(void *)(uintptr_t)address, size};
    reads++;
    return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)size ? 0 : -1;
}

/* Whatever the image says, it is not looked at for long. */
static uint64_t search(void) {
    const struct image image = {.start = (uintptr_t)memory};
    reads = 0;
    uint64_t found = image_symbol(getpid(), &image, NAME);
    ck_assert_uint_lt(reads, MOST_READS);
    return found;
}

#define FOUND ((uintptr_t)memory + VALUE)

START_TEST(a_symbol_is_found) {
    ck_assert_uint_eq(search(), FOUND);
    use_gnu_hash();
    ck_assert_uint_eq(search(), FOUND);
    wide->symbols[1].st_shndx = SHN_UNDEF;
    ck_assert_uint_eq(search(), 0);
}
END_TEST

/* As the loader leaves them on most machines. */
START_TEST(addresses_that_were_relocated) {
    for (int i = 0; i < 3; i++)
        wide->dynamic[i].d_un.d_ptr += (uintptr_t)memory;
    ck_assert_uint_eq(search(), FOUND);
}
END_TEST

START_TEST(a_32_bit_object) {
    struct narrow *narrow = (struct narrow *)memory;
    memset(memory, 0, SIZE);
    fill_ident(narrow->header.e_ident, ELFCLASS32);
    narrow->header.e_phoff = offsetof(struct narrow, segments);
    narrow->header.e_phnum = 2;
    narrow->segments[0] = (Elf32_Phdr){.p_type = PT_LOAD, .p_memsz = SIZE};
    narrow->segments[1] = (Elf32_Phdr){
        .p_type = PT_DYNAMIC, .p_vaddr = offsetof(struct narrow, dynamic), .p_memsz = sizeof narrow->dynamic};
    narrow->dynamic[0] = (Elf32_Dyn){DT_SYMTAB, {offsetof(struct narrow, symbols)}};
    narrow->dynamic[1] = (Elf32_Dyn){DT_STRTAB, {offsetof(struct narrow, strings)}};
    narrow->dynamic[2] = (Elf32_Dyn){DT_HASH, {offsetof(struct narrow, hash)}};
    memcpy(narrow->strings, "\0other\0" NAME, sizeof "\0other\0" NAME);
    narrow->symbols[1] = (Elf32_Sym){.st_name = 7, .st_shndx = 1, .st_value = VALUE};
    fill_hash(narrow->hash);
    ck_assert_uint_eq(search(), FOUND);
    narrow->symbols[1].st_name = UINT32_MAX;
    ck_assert_uint_eq(search(), 0);
    narrow->segments[1].p_memsz = UINT32_MAX;
    narrow->dynamic[3] = (Elf32_Dyn){DT_STRTAB, {UINT32_MAX}};
    ck_assert_uint_eq(search(), 0);
}
END_TEST

START_TEST(what_is_no_object) {
    wide->header.e_ident[0] = 0;
    ck_assert_uint_eq(search(), 0);
    start();
    wide->header.e_ident[EI_DATA] ^= 3;
    ck_assert_uint_eq(search(), 0);
    start();
    wide->header.e_ident[EI_CLASS] = 77; /* read as a 32-bit one, of which nothing fits then */
    ck_assert_uint_eq(search(), 0);
    for (uint64_t at = 0; at < 64; at += 8) { /* a header that a hole cuts off, and ones at either end of memory */
        const struct image cut = {.start = (uintptr_t)memory + SIZE - at}, low = {.start = at},
                           high = {.start = UINT64_MAX - at};
        memcpy(memory + SIZE - at, wide, at);
        ck_assert_uint_eq(image_symbol(getpid(), &cut, NAME), 0);
        ck_assert_uint_eq(image_symbol(getpid(), &low, NAME), 0);
        ck_assert_uint_eq(image_symbol(getpid(), &high, NAME), 0);
    }
}
END_TEST

START_TEST(program_headers_out_of_place) {
    static const uint64_t places[] = {SIZE - 8, SIZE, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 64, UINT64_MAX};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        wide->header.e_phoff = places[i];
        ck_assert_uint_eq(search(), 0);
    }
    start();
    wide->header.e_phnum = 0;
    ck_assert_uint_eq(search(), 0);
    wide->header.e_phnum = UINT16_MAX; /* most of what follows is no header, or none of interest */
    ck_assert_uint_eq(search(), FOUND);
    wide->header.e_phoff = SIZE - 2 * sizeof(Elf64_Phdr);
    memcpy(memory + wide->header.e_phoff, wide->segments, 2 * sizeof(Elf64_Phdr));
    ck_assert_uint_eq(search(), 0);
}
END_TEST

START_TEST(segments_that_overlap_or_lie) {
    wide->header.e_phnum = 3;
    wide->segments[2] = (Elf64_Phdr){.p_type = PT_LOAD, .p_vaddr = 8, .p_memsz = UINT64_MAX};
    ck_assert_uint_eq(search(), FOUND); /* the first one counts */
    wide->segments[2] = (Elf64_Phdr){.p_type = PT_DYNAMIC, .p_vaddr = UINT64_MAX - 64, .p_memsz = UINT64_MAX};
    ck_assert_uint_eq(search(), 0);
    wide->header.e_phnum = 2;
    static const uint64_t addresses[] = {4096, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        wide->segments[0].p_vaddr = addresses[i];
        ck_assert_uint_eq(search(), 0);
    }
    start();
    wide->segments[0].p_type = PT_NOTE;
    ck_assert_uint_eq(search(), 0);
}
END_TEST

START_TEST(a_dynamic_section_without_an_end) {
    static const uint64_t sizes[] = {0, 1, sizeof(Elf64_Dyn), INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof wide->dynamic / sizeof wide->dynamic[0]; i++)
        if (wide->dynamic[i].d_tag == DT_NULL)
            wide->dynamic[i].d_tag = DT_DEBUG;
    ck_assert_uint_eq(search(), FOUND);
    for (size_t i = 0; i < 3; i++) {
        wide->segments[1].p_memsz = sizes[i];
        ck_assert_uint_eq(search(), 0);
    }
    for (size_t i = 3; i < sizeof sizes / sizeof sizes[0]; i++) {
        wide->segments[1].p_memsz = sizes[i];
        search(); /* whatever it finds */
    }
    wide->segments[1].p_vaddr = SIZE - 64; /* runs into the hole */
    ck_assert_uint_eq(search(), 0);
}
END_TEST

START_TEST(tables_that_are_nowhere) {
    static const uint64_t nowhere[] = {SIZE, SIZE - 2, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 3, UINT64_MAX};
    for (int gnu = 0; gnu < 2; gnu++)
        for (int row = 0; row < 3; row++)
            for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
                start();
                if (gnu)
                    use_gnu_hash();
                wide->dynamic[row].d_un.d_ptr = nowhere[i];
                ck_assert_uint_eq(search(), 0);
                wide->dynamic[row].d_tag = DT_DEBUG; /* and not there at all */
                ck_assert_uint_eq(search(), 0);
            }
}
END_TEST

START_TEST(names_out_of_place) {
    static const uint32_t places[] = {SIZE, INT32_MAX, UINT32_MAX};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        wide->symbols[1].st_name = places[i];
        ck_assert_uint_eq(search(), 0);
    }
    start();
    memcpy(memory + SIZE - strlen(NAME), NAME, strlen(NAME)); /* the hole takes the place of its end */
    wide->symbols[1].st_name = (Elf64_Word)(SIZE - strlen(NAME) - offsetof(struct wide, strings));
    ck_assert_uint_eq(search(), 0);
    start();
    memset(wide->strings, 'x', sizeof wide->strings);
    ck_assert_uint_eq(search(), 0);
    memcpy(wide->strings + 7, NAME "_of_another", sizeof NAME "_of_another");
    ck_assert_uint_eq(search(), 0);
}
END_TEST

START_TEST(hash_tables_that_lead_nowhere) {
    static const uint32_t counts[] = {0, 2, INT32_MAX, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        start();
        wide->hash[0] = counts[i];
        if (counts[i] != 2)
            ck_assert_uint_eq(search(), 0);
        search();
        use_gnu_hash();
        wide->gnu_hash.buckets = counts[i];
        if (counts[i] != 2)
            ck_assert_uint_eq(search(), 0);
        search();
        wide->gnu_hash.buckets = 1;
        wide->gnu_hash.bloom = UINT32_MAX;
        ck_assert_uint_eq(search(), 0);
    }
    start();
    wide->hash[2] = UINT32_MAX; /* the number of a symbol, four thousand million entries away */
    ck_assert_uint_eq(search(), 0);
    start();
    use_gnu_hash();
    wide->gnu_hash.first = 2; /* behind the symbol that the bucket names */
    ck_assert_uint_eq(search(), 0);
    wide->gnu_hash.bucket = UINT32_MAX;
    ck_assert_uint_eq(search(), 0);
}
END_TEST

START_TEST(chains_without_an_end) {
    memset(wide->strings, 'x', sizeof wide->strings); /* nobody has the name */
    wide->hash[2 + 1 + 1] = 2;                        /* 2, 1, 2, 1, ... */
    ck_assert_uint_eq(search(), 0);
    use_gnu_hash();
    for (uint32_t *chain = wide->gnu_hash.chain; (char *)chain < memory + SIZE; chain++)
        *chain = gnu_hash_of(NAME) & ~1U; /* each may be it, none is the last */
    ck_assert_uint_eq(search(), 0);
}
END_TEST

/* --- the map of a process --- */

struct seen {
    int count;
    bool good, stop;
};

static bool look(const struct image *image, void *arg) {
    struct seen *seen = arg;
    seen->count++;
    seen->good &= image->path[0] == '/' && memchr(image->path, '\0', sizeof image->path);
    return seen->stop;
}

START_TEST(objects_of_a_process) {
    struct seen seen = {.good = true};
    ck_assert_int_eq(image_each(getpid(), look, &seen), 0);
    ck_assert(seen.good && seen.count > 1);
    seen = (struct seen){.good = true, .stop = true};
    ck_assert_int_eq(image_each(getpid(), look, &seen), 1);
    ck_assert_int_eq(seen.count, 1);
    ck_assert_int_eq(image_each(INT_MAX, look, &seen), -1);
}
END_TEST

/* A path of more than struct image holds, with what stands between fields in it. */
START_TEST(a_path_that_does_not_fit) {
    enum { DEEP = 6, LENGTH = 200 };
    char name[LENGTH + 1], root[] = "/tmp/image_test.XXXXXX", command[64];
    struct seen seen = {.good = true};
    memset(name, ' ', LENGTH);
    memcpy(name, "a\n\\", 3);
    name[LENGTH - 1] = 'z';
    name[LENGTH] = '\0';
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_int_eq(chdir(root), 0);
    for (int i = 0; i < DEEP; i++) {
        ck_assert_int_eq(mkdir(name, 0700), 0);
        ck_assert_int_eq(chdir(name), 0);
    }
    int fd = open(name, O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(ftruncate(fd, 4096), 0);
    image_each(getpid(), look, &seen);
    const int before = seen.count;
    ck_assert_ptr_ne(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0), MAP_FAILED);
    close(fd);
    seen.count = 0;
    ck_assert_int_eq(image_each(getpid(), look, &seen), 0);
    ck_assert(seen.good);
    ck_assert_int_eq(seen.count, before + 1);
    snprintf(command, sizeof command, "rm -rf %s", root);
    ck_assert_int_eq(chdir("/") | system(command), 0);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, a_symbol_is_found);
    tcase_add_test(tests, addresses_that_were_relocated);
    tcase_add_test(tests, a_32_bit_object);
    tcase_add_test(tests, what_is_no_object);
    tcase_add_test(tests, program_headers_out_of_place);
    tcase_add_test(tests, segments_that_overlap_or_lie);
    tcase_add_test(tests, a_dynamic_section_without_an_end);
    tcase_add_test(tests, tables_that_are_nowhere);
    tcase_add_test(tests, names_out_of_place);
    tcase_add_test(tests, hash_tables_that_lead_nowhere);
    tcase_add_test(tests, chains_without_an_end);
    tcase_add_test(tests, objects_of_a_process);
    tcase_add_test(tests, a_path_that_does_not_fit);
}
