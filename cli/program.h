/* What a program's file says about whether a library can be preloaded into it. */
#pragma once

#include <limits.h>
#include <stdbool.h>

struct program {
    char path[PATH_MAX]; /* the file found along PATH, or its interpreter if it is a script */
    bool is_elf;
    bool is_static;     /* has no program interpreter: ld.so never runs */
    bool is_privileged; /* by set-user-id, set-group-id or capabilities: ld.so ignores the environment's paths */
    int bits;           /* 32, 64; 0 where it is not ELF */
    int machine;        /* e_machine */
};

/* Looks `name` up as execvp does and reads the file's header, following up to four script interpreters. Returns 0, or
 * -1 when it cannot be found or read, which says nothing about whether it can be executed. */
int program_inspect(const char *name, struct program *program);

/* The same for one file, which is not looked up. */
int program_inspect_file(const char *path, struct program *program);
