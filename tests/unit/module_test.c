#include "shim/report/module.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* A static function: only the file's own symbols know it. */
static __attribute__((noinline)) int some_function(int x) {
    return x * 3 + 1;
}

START_TEST(finds_the_program_and_its_function) {
    struct nd_module module;
    char name[64];
    uintptr_t start, address = (uintptr_t)&some_function + 1;
    ck_assert(nd_module_find(address, &module));
    ck_assert_str_eq(module.path, "/proc/self/exe");
    ck_assert(module.start <= address && address < module.end && module.unwinding != 0);
    ck_assert(nd_module_function(&module, address, name, sizeof name, &start));
    ck_assert_str_eq(name, "some_function");
    ck_assert_uint_eq(start, (uintptr_t)&some_function);
}
END_TEST

START_TEST(finds_a_library_and_its_function) {
    struct nd_module module;
    char name[64];
    uintptr_t start, address = (uintptr_t)&getenv;
    ck_assert(nd_module_find(address, &module));
    ck_assert_ptr_nonnull(strstr(module.path, "/libc.so"));
    ck_assert(nd_module_function(&module, address, name, sizeof name, &start));
    ck_assert_str_eq(name, "getenv");
    ck_assert_uint_eq(start, address);
}
END_TEST

START_TEST(a_long_name_is_cut) {
    struct nd_module module;
    char name[5];
    uintptr_t start;
    ck_assert(nd_module_find((uintptr_t)&some_function, &module));
    ck_assert(nd_module_function(&module, (uintptr_t)&some_function, name, sizeof name, &start));
    ck_assert_str_eq(name, "some");
}
END_TEST

START_TEST(knows_nothing_outside) {
    struct nd_module module;
    char on_stack;
    ck_assert(!nd_module_find(0, &module));
    ck_assert(!nd_module_find((uintptr_t)&on_stack, &module));
}
END_TEST

/* The kernel's page has no file. */
START_TEST(kernel_page_has_no_file) {
    struct nd_module module;
    char name[64];
    uintptr_t start, page = getauxval(AT_SYSINFO_EHDR);
    if (page == 0)
        return;
    ck_assert(nd_module_find(page + 1, &module));
    ck_assert_str_eq(module.path, "");
    ck_assert(!nd_module_function(&module, page + 1, name, sizeof name, &start));
}
END_TEST

static char copy_path[] = "/tmp/netdeadline-module-XXXXXX";
static char *content;
static size_t content_size;

static void read_own_file(void) {
    struct stat status;
    int fd = open("/proc/self/exe", O_RDONLY);
    ck_assert_int_eq(fstat(fd, &status), 0);
    content_size = (size_t)status.st_size;
    content = malloc(content_size);
    ck_assert_int_eq(read(fd, content, content_size), (ssize_t)content_size);
    close(fd);
    fd = mkstemp(copy_path);
    close(fd);
}

static void remove_copy(void) {
    unlink(copy_path);
}

static bool found_in_copy(void) {
    struct nd_module module;
    char name[64];
    uintptr_t start;
    ck_assert(nd_module_find((uintptr_t)&some_function, &module));
    strcpy(module.path, copy_path);
    return nd_module_function(&module, (uintptr_t)&some_function, name, sizeof name, &start);
}

/* The first `size` bytes of the program as a file of their own; gives its descriptor. */
static int write_copy(size_t size) {
    int fd = open(copy_path, O_RDWR | O_TRUNC);
    ck_assert_int_eq(write(fd, content, size), (ssize_t)size);
    return fd;
}

START_TEST(survives_a_cut_file) {
    read_own_file();
    close(write_copy(content_size));
    ck_assert(found_in_copy());
    for (size_t part = 0; part < 64; part++) {
        close(write_copy(part < 32 ? part * 4 : content_size / 64 * part));
        ck_assert(!found_in_copy());
    }
}
END_TEST

/* Every byte of the ELF header and of the section headers, set to what may mislead. */
START_TEST(survives_a_damaged_file) {
    static const char values[] = {0, 1, 0x7f, (char)0xff};
    uint64_t sections;
    read_own_file();
    memcpy(&sections, content + 0x28, sizeof sections);
    ck_assert_uint_lt(sections, content_size);
    int fd = write_copy(content_size);
    for (size_t at = 0; at < content_size; at = at == 63 ? sections : at + 1) {
        for (size_t i = 0; i < sizeof values; i++) {
            ck_assert_int_eq(pwrite(fd, &values[i], 1, (off_t)at), 1);
            found_in_copy();
        }
        ck_assert_int_eq(pwrite(fd, &content[at], 1, (off_t)at), 1);
    }
    ck_assert(found_in_copy());
}
END_TEST

START_TEST(survives_what_is_no_file) {
    static const char *const paths[] = {"", "/nonexistent", "/", "/dev/null", "/proc/self/mem"};
    struct nd_module module = {.base = 0};
    char name[64];
    uintptr_t start;
    strcpy(module.path, paths[_i]);
    ck_assert(!nd_module_function(&module, 1, name, sizeof name, &start));
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, NULL, remove_copy);
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, finds_the_program_and_its_function);
    tcase_add_test(tests, finds_a_library_and_its_function);
    tcase_add_test(tests, a_long_name_is_cut);
    tcase_add_test(tests, knows_nothing_outside);
    tcase_add_test(tests, kernel_page_has_no_file);
    tcase_add_test(tests, survives_a_cut_file);
    tcase_add_test(tests, survives_a_damaged_file);
    tcase_add_loop_test(tests, survives_what_is_no_file, 0, 5);
}
