/* Reads a program's ELF file, of either class. No offset or count in it is trusted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file {
    const unsigned char *bytes;
    size_t size;
    bool is_64;
};

/* Maps the file. Returns 0, or -1 where it is no ELF file of this machine's byte order. */
int elf_open(struct elf_file *file, const char *path);
void elf_close(struct elf_file *file);

bool elf_has_section(const struct elf_file *file, const char *name);

/* The path of the loader that the program asks for, or NULL. It points into the mapped file, and is to be escaped when
 * printed. */
const char *elf_interpreter(const struct elf_file *file);

/* Calls visit(name, arg) for each symbol that the file takes from others. */
void elf_each_import(const struct elf_file *file, void (*visit)(const char *name, void *arg), void *arg);

/* Calls visit(name, arg) for each library that the file itself needs. */
void elf_each_needed(const struct elf_file *file, void (*visit)(const char *name, void *arg), void *arg);
