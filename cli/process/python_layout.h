/* Where CPython's structures have what is read of them, by its version. They are its own, and another in each version. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a code object tells the lines of its instructions. */
enum python_lines {
    PYTHON_LINES_PAIRS,    /* 3.9: bytes of instructions, lines; PEP 3's lnotab */
    PYTHON_LINES_RANGES,   /* 3.10: PEP 626 */
    PYTHON_LINES_LOCATIONS /* 3.11 on: Objects/locations.md */
};

/* Offsets in bytes. */
struct python_layout {
    uint32_t interpreters;                            /* in _PyRuntime: the first interpreter */
    uint32_t next_interpreter, threads;               /* in an interpreter */
    uint32_t next_thread, interpreter;                /* in a thread's state */
    uint32_t kernel_thread, pthread;                  /* its number (0: it is not kept), and its pthread_t */
    uint32_t frame;                                   /* the innermost frame; or what holds it */
    int32_t held_frame;                               /* where that has it; -1: it is the frame itself */
    uint32_t code, previous, instruction;             /* in a frame */
    uint32_t owner;                                   /* 0: frames have none */
    uint32_t first_line, file, name, lines, bytecode; /* in a code object; bytecode is 0 where frames have an index */
    uint32_t ascii_size, compact_size;                /* before the characters of a text */
    enum python_lines how_lines;
    uint32_t instruction_size; /* of the unit that `instruction` counts, where it is an index */
};

/* The owner of frames that stand for a call from C. */
enum { PYTHON_OWNER_C = 3 };

/* The layout of a version from 3.9 to 3.12 (major, minor), or NULL. */
const struct python_layout *python_layout_of(unsigned minor);

/* What 3.13 tells of itself at the beginning of _PyRuntime, as words. */
enum { PYTHON_TOLD_WORDS = 44 };

/* Makes a layout of it. Returns false where it is no such table, or of a build without the global lock, whose objects
 * are others. */
bool python_layout_told(const uint64_t told[PYTHON_TOLD_WORDS], struct python_layout *layout);
