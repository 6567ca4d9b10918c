#include "shim/symbols.h"

#include <dlfcn.h>

#include "tests/unit/unit.h"

/* A function of libc, one that libc chooses by the processor, a variable, a function of the loader, and one that is missing. */
static const char *const names[] = {"getpeername", "strcasecmp", "in6addr_loopback", "_dl_find_object",
                                    "nobody_has_this"};

START_TEST(the_search_is_the_loaders) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_ptr_eq(nd_symbols_default(names[i]), dlsym(RTLD_DEFAULT, names[i]));
}
END_TEST

START_TEST(the_filter_leaves_out_nothing_that_is_there) {
    ck_assert(nd_symbols_find_libc());
    const struct nd_symbols *file = &nd_symbols_libc[0];
    const uint32_t hash = nd_symbols_hash("getpeername");
    ck_assert(nd_symbols_may_have(file->hash, hash));
    ck_assert_uint_ne(nd_symbols_function(file, "getpeername", hash, NULL), 0);
    ck_assert_uint_eq(nd_symbols_function(file, "nobody_has_this", nd_symbols_hash("nobody_has_this"), NULL), 0);
}
END_TEST

/* As valgrind loads programs. */
START_TEST(a_file_at_a_low_address_is_read_whether_the_loader_has_relocated_its_entries_or_not) {
    enum { BASE = 0x108000, SYMBOLS = 0xe68, STRINGS = 0x3b50, HASH = 0x3a0 };
    for (int is_relocated = 0; is_relocated < 2; is_relocated++) {
        const uintptr_t added = is_relocated ? BASE : 0;
        ElfW(Dyn) dynamic[] = {{.d_tag = DT_SYMTAB, .d_un = {.d_ptr = added + SYMBOLS}},
                               {.d_tag = DT_STRTAB, .d_un = {.d_ptr = added + STRINGS}},
                               {.d_tag = DT_GNU_HASH, .d_un = {.d_ptr = added + HASH}},
                               {.d_tag = DT_NULL}};
        const struct link_map map = {.l_addr = BASE, .l_ld = dynamic};
        struct nd_symbols file;
        nd_symbols_read(&map, &file);
        ck_assert_uint_eq((uintptr_t)file.symbols, BASE + SYMBOLS);
        ck_assert_uint_eq((uintptr_t)file.strings, BASE + STRINGS);
        ck_assert_uint_eq((uintptr_t)file.hash, BASE + HASH);
    }
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, the_search_is_the_loaders);
    tcase_add_test(tests, the_filter_leaves_out_nothing_that_is_there);
    tcase_add_test(tests, a_file_at_a_low_address_is_read_whether_the_loader_has_relocated_its_entries_or_not);
}
