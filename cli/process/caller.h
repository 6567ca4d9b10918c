/* Who has called the C library's function that a blocked thread is in, by the return addresses on its stack: nothing of
 * the program's needs to be there to unwind by. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/process/system_call.h"

/* A process's executable memory. */
struct code_map {
    pid_t pid;
    bool is_64;
    const char *library; /* the path of the library; NULL: none is looked for */
    struct code *code;
    size_t count, room;
};

struct caller {
    enum { UNKNOWN, THE_LIBRARY, THE_PROGRAM } by;
    uint64_t function; /* what it has called: an address in the C library; 0 where that has called nothing further */
};

/* Reads the map of the process, to be freed by code_map_free. `library` is the path of the library there, or NULL, and
 * must outlive it. */
void code_map_read(struct code_map *map, pid_t pid, const char *library);

void code_map_free(struct code_map *map);

/* Whether the address is in the C library's code. */
bool code_map_is_c_library(const struct code_map *map, uint64_t address);

/* The innermost return address on the stack from *stack on, or 0; moves *stack to what lies behind it. */
uint64_t code_map_return_address(const struct code_map *map, uint64_t *stack);

/* Finds the caller by the first return address on the stack, from the innermost on, that is not in the C library. */
struct caller caller_find(const struct code_map *map, uint64_t stack);

/* Whether the caller has called the function that stands for the blocked system call, whether this is made in it or by
 * a further function, as where it may be cancelled (musl, glibc from 2.41 on); false for what else makes it in the C
 * library (stdio, its lookups). */
bool caller_is_direct(const struct code_map *map, const struct caller *caller, const struct blocked_call *call);
