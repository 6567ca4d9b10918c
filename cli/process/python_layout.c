#include "cli/process/python_layout.h"

#include <string.h>

/* As the compiler lays out the structures of each version's headers on 64-bit machines. */
static const struct python_layout layouts[] = {
    {.interpreters = 32,
     .next_interpreter = 0,
     .threads = 8,
     .next_thread = 8,
     .interpreter = 16,
     .pthread = 176,
     .frame = 24,
     .held_frame = -1,
     .code = 32,
     .previous = 24,
     .instruction = 104,
     .first_line = 40,
     .file = 104,
     .name = 112,
     .lines = 120,
     .ascii_size = 48,
     .compact_size = 72,
     .how_lines = PYTHON_LINES_PAIRS,
     .instruction_size = 1},
    {.interpreters = 32,
     .next_interpreter = 0,
     .threads = 8,
     .next_thread = 8,
     .interpreter = 16,
     .pthread = 176,
     .frame = 24,
     .held_frame = -1,
     .code = 32,
     .previous = 24,
     .instruction = 96,
     .first_line = 40,
     .file = 104,
     .name = 112,
     .lines = 120,
     .ascii_size = 48,
     .compact_size = 72,
     .how_lines = PYTHON_LINES_RANGES,
     .instruction_size = 2},
    {.interpreters = 40,
     .next_interpreter = 0,
     .threads = 16,
     .next_thread = 8,
     .interpreter = 16,
     .kernel_thread = 160,
     .pthread = 152,
     .frame = 56,
     .held_frame = 8,
     .code = 32,
     .previous = 48,
     .instruction = 56,
     .first_line = 72,
     .file = 112,
     .name = 120,
     .lines = 136,
     .bytecode = 184,
     .ascii_size = 48,
     .compact_size = 72,
     .how_lines = PYTHON_LINES_LOCATIONS},
    {.interpreters = 40,
     .next_interpreter = 0,
     .threads = 72,
     .next_thread = 8,
     .interpreter = 16,
     .kernel_thread = 144,
     .pthread = 136,
     .frame = 56,
     .held_frame = 0,
     .code = 0,
     .previous = 8,
     .instruction = 56,
     .owner = 70,
     .first_line = 68,
     .file = 112,
     .name = 120,
     .lines = 136,
     .bytecode = 192,
     .ascii_size = 40,
     .compact_size = 56,
     .how_lines = PYTHON_LINES_LOCATIONS},
};

enum { FIRST = 9 };

const struct python_layout *python_layout_of(unsigned minor) {
    return minor >= FIRST && minor < FIRST + sizeof layouts / sizeof layouts[0] ? &layouts[minor - FIRST] : NULL;
}

/* The words of the table, in its own order; those that are not used are left out. */
enum {
    COOKIE = 0,
    VERSION = 1,
    FREE_THREADED = 2,
    RUNTIME_INTERPRETERS = 5,
    INTERPRETER_NEXT = 8,
    INTERPRETER_THREADS = 9,
    THREAD_NEXT = 21,
    THREAD_INTERPRETER = 22,
    THREAD_FRAME = 23,
    THREAD_PTHREAD = 24,
    THREAD_NUMBER = 25,
    FRAME_PREVIOUS = 29,
    FRAME_CODE = 30,
    FRAME_INSTRUCTION = 31,
    FRAME_OWNER = 33,
    CODE_FILE = 35,
    CODE_NAME = 36,
    CODE_LINES = 38,
    CODE_FIRST_LINE = 39,
    CODE_BYTECODE = 43
};

/* Offsets are smaller than the structures, of which an interpreter is the largest. */
static bool are_offsets(const uint64_t told[PYTHON_TOLD_WORDS]) {
    for (int i = RUNTIME_INTERPRETERS; i < PYTHON_TOLD_WORDS; i++)
        if (told[i] > 1 << 24)
            return false;
    return true;
}

bool python_layout_told(const uint64_t told[PYTHON_TOLD_WORDS], struct python_layout *layout) {
    if (memcmp(&told[COOKIE], "xdebugpy", 8) != 0 || told[VERSION] >> 16 != 0x030d || told[FREE_THREADED] ||
        !are_offsets(told))
        return false;
    *layout = (struct python_layout){.interpreters = (uint32_t)told[RUNTIME_INTERPRETERS],
                                     .next_interpreter = (uint32_t)told[INTERPRETER_NEXT],
                                     .threads = (uint32_t)told[INTERPRETER_THREADS],
                                     .next_thread = (uint32_t)told[THREAD_NEXT],
                                     .interpreter = (uint32_t)told[THREAD_INTERPRETER],
                                     .kernel_thread = (uint32_t)told[THREAD_NUMBER],
                                     .pthread = (uint32_t)told[THREAD_PTHREAD],
                                     .frame = (uint32_t)told[THREAD_FRAME],
                                     .held_frame = -1,
                                     .code = (uint32_t)told[FRAME_CODE],
                                     .previous = (uint32_t)told[FRAME_PREVIOUS],
                                     .instruction = (uint32_t)told[FRAME_INSTRUCTION],
                                     .owner = (uint32_t)told[FRAME_OWNER],
                                     .first_line = (uint32_t)told[CODE_FIRST_LINE],
                                     .file = (uint32_t)told[CODE_FILE],
                                     .name = (uint32_t)told[CODE_NAME],
                                     .lines = (uint32_t)told[CODE_LINES],
                                     .bytecode = (uint32_t)told[CODE_BYTECODE],
                                     .ascii_size = 40,
                                     .compact_size = 56,
                                     .how_lines = PYTHON_LINES_LOCATIONS};
    return true;
}
