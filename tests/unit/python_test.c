/* The frames of an interpreter whose structures are this process's own, good and made to fool whoever reads them. They
 * are laid out as those of Python 3.12. */
#include "cli/process/python.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cli/process/image.h"
#include "cli/process/memory.h"
#include "cli/process/processes.h"
#include "tests/unit/unit.h"

enum { WORDS = 64, FRAMES = 4 };

static uint64_t runtime[WORDS], interpreter[WORDS], thread[WORDS], held[2], frames[FRAMES][WORDS], code[WORDS];
static uint64_t lines[WORDS], code_type[1];
static uint32_t version;
static char file_object[128], name_object[128];
static const char *image_path;
static bool has_runtime;
static unsigned reads;

int image_each(pid_t pid, bool (*visit)(const struct image *image, void *arg), void *arg) {
    struct image image = {.start = 4096};
    ck_assert_int_eq(pid, getpid());
    strcpy(image.path, image_path);
    return visit(&image, arg);
}

uint64_t image_symbol(pid_t pid, const struct image *image, const char *name) {
    (void)pid, (void)image;
    if (!has_runtime)
        return 0;
    return strcmp(name, "_PyRuntime") == 0    ? (uintptr_t)runtime
           : strcmp(name, "PyCode_Type") == 0 ? (uintptr_t)code_type
           : strcmp(name, "Py_Version") == 0  ? (uintptr_t)&version
                                              : 0;
}

int memory_read(pid_t pid, uint64_t address, void *to, size_t size) {
    struct iovec here = {to, size}, there = {(void *)(uintptr_t)address, size};
    reads++;
    return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)size ? 0 : -1;
}

/* Each test sees an interpreter that was not seen before. */
struct process_identity process_identity(pid_t pid) {
    static uint64_t number;
    (void)pid;
    return (struct process_identity){.started = ++number};
}

pid_t process_inner_tid(pid_t pid, pid_t tid) {
    (void)pid;
    return tid;
}

bool process_is_64(pid_t pid) {
    (void)pid;
    return true;
}

static void put_text(char *object, const char *text) {
    const uint64_t length = strlen(text);
    const uint32_t state = 1 << 2 | 1 << 5 | 1 << 6; /* one byte a character, compact, ASCII */
    memset(object, 0, 128);
    memcpy(object + 16, &length, sizeof length);
    memcpy(object + 32, &state, sizeof state);
    memcpy(object + 40, text, length);
}

static void start(void) {
    version = 0x030c01f0;
    image_path = "/usr/bin/python3.12";
    has_runtime = true;
    reads = 0;
    memset(frames, 0, sizeof frames);
    runtime[40 / 8] = (uintptr_t)interpreter;
    interpreter[0] = 0;
    interpreter[72 / 8] = (uintptr_t)thread;
    thread[8 / 8] = 0;
    thread[16 / 8] = (uintptr_t)interpreter;
    thread[144 / 8] = (uint64_t)getpid();
    thread[56 / 8] = (uintptr_t)held;
    held[0] = (uintptr_t)frames[0];
    for (int i = 0; i < FRAMES; i++) {
        frames[i][0] = (uintptr_t)code;
        frames[i][1] = i + 1 < FRAMES ? (uintptr_t)frames[i + 1] : 0;
        frames[i][56 / 8] = (uintptr_t)code + 192;
    }
    code[1] = (uintptr_t)code_type;
    ((uint32_t *)code)[68 / 4] = 7;
    code[112 / 8] = (uintptr_t)file_object;
    code[120 / 8] = (uintptr_t)name_object;
    code[136 / 8] = (uintptr_t)lines;
    put_text(file_object, "/x/y.py");
    put_text(name_object, "main");
    lines[2] = 2;
    memcpy(&lines[4], "\x87\x00", 2);
}

static const char *printed(void) {
    static char text[1 << 17];
    FILE *to = fmemopen(text, sizeof text, "w");
    python_print(getpid(), getpid(), to);
    fputc('\0', to);
    fclose(to);
    return text;
}

static unsigned count(const char *what) {
    unsigned found = 0;
    for (const char *at = printed(); (at = strstr(at, what)); at++)
        found++;
    return found;
}

#define FRAME "        Python: main (/x/y.py:7)\n"

START_TEST(frames_are_shown) {
    ck_assert_str_eq(printed(), FRAME FRAME FRAME FRAME);
}
END_TEST

START_TEST(frames_of_c_are_not) {
    ((uint8_t *)frames[1])[70] = 3;
    ck_assert_uint_eq(count(FRAME), FRAMES - 1);
    frames[2][0] = (uintptr_t)thread; /* no code */
    ck_assert_uint_eq(count(FRAME), FRAMES - 2);
}
END_TEST

START_TEST(who_has_none) {
    thread[144 / 8] = 1;
    ck_assert_str_eq(printed(), "        (no frames in Python: the thread runs none)\n");
    version = 0x030801f0;
    ck_assert_ptr_nonnull(strstr(printed(), "they are read of Python 3.9 to 3.13"));
    version = 0x030e00f0;
    ck_assert_ptr_nonnull(strstr(printed(), "they are read of Python 3.9 to 3.13"));
    version = 0x030d00f0; /* without the table that it should have */
    ck_assert_ptr_nonnull(strstr(printed(), "other structures"));
    has_runtime = false;
    image_path = "/usr/bin/perl5.36";
    ck_assert_str_eq(printed(), "        (no frames of the program's own language: Perl's are not read)\n");
    image_path = "/usr/bin/ruby3.1";
    ck_assert_ptr_nonnull(strstr(printed(), "Ruby's are not read"));
    image_path = "/usr/bin/pypy3";
    ck_assert_ptr_nonnull(strstr(printed(), "another Python"));
    image_path = "/usr/bin/perlish";
    ck_assert_str_eq(printed(), "");
}
END_TEST

/* Every list ends, however it is linked. */
START_TEST(circles_end) {
    frames[FRAMES - 1][1] = (uintptr_t)frames[0];
    ck_assert_uint_eq(count(FRAME), 128);
    for (int i = 0; i < FRAMES; i++)
        frames[i][0] = 0; /* none of them is shown */
    printed();
    start();
    thread[8 / 8] = (uintptr_t)thread;
    thread[144 / 8] = 1;
    printed();
    ck_assert_uint_lt(reads, 100000);
    start();
    interpreter[0] = (uintptr_t)interpreter;
    thread[144 / 8] = 1;
    printed();
    ck_assert_uint_lt(reads, 2000);
}
END_TEST

START_TEST(nonsense_does_no_harm) {
    uint64_t *const words[] = {&runtime[5],   &interpreter[9], &thread[2], &thread[7], &held[0],  &frames[0][0],
                               &frames[0][1], &frames[0][7],   &code[14],  &code[15],  &code[17], &lines[2]};
    const uint64_t values[] = {0, 1, 16, UINT64_MAX, UINT64_MAX - 7, INT64_MAX, (uintptr_t)code};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        for (size_t j = 0; j < sizeof values / sizeof values[0]; j++) {
            start();
            *words[i] = values[j];
            printed();
            ck_assert_uint_lt(reads, 10000);
        }
}
END_TEST

START_TEST(texts_of_every_kind) {
    const uint64_t two = 2, much = UINT64_MAX / 4;
    uint32_t state = 2 << 2 | 1 << 5; /* two bytes a character */
    const uint16_t wide[] = {0x20ac, 0x1b};
    memcpy(name_object + 16, &two, sizeof two);
    memcpy(name_object + 32, &state, sizeof state);
    memcpy(name_object + 56, wide, sizeof wide);
    ck_assert_ptr_nonnull(strstr(printed(), "Python: \\u20ac\\u001b ("));
    state = 1 << 2 | 1 << 5; /* Latin-1 */
    memcpy(name_object + 32, &state, sizeof state);
    memcpy(name_object + 56, "\xe9x", 2);
    ck_assert_ptr_nonnull(strstr(printed(), "Python: \\u00e9x ("));
    memcpy(name_object + 16, &much, sizeof much);
    ck_assert_ptr_nonnull(strstr(printed(), "Python:  (/x"));
    state = 7 << 2 | 1 << 5; /* no such kind */
    memcpy(name_object + 32, &state, sizeof state);
    ck_assert_ptr_nonnull(strstr(printed(), "Python:  (/x"));
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, frames_are_shown);
    tcase_add_test(tests, frames_of_c_are_not);
    tcase_add_test(tests, who_has_none);
    tcase_add_test(tests, circles_end);
    tcase_add_test(tests, nonsense_does_no_harm);
    tcase_add_test(tests, texts_of_every_kind);
}
