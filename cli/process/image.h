/* The ELF images in a process's memory, which are what was really loaded, whatever has become of the files. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One loaded object. */
struct image {
    uint64_t start;  /* where its ELF header is mapped */
    char path[1024]; /* as in /proc/PID/maps; not escaped */
};

/* Calls visit(image, arg) for every object in the process's memory until it returns true. Returns whether it did; -1
 * and errno where the map cannot be read. */
int image_each(pid_t pid, bool (*visit)(const struct image *image, void *arg), void *arg);

/* The address of the exported symbol `name`, or 0. No count or address in the image is trusted: the search ends, and
 * reads no more than it must. What it finds may still be anywhere. */
uint64_t image_symbol(pid_t pid, const struct image *image, const char *name);

/* Whether the address lies in the exported function `name`. */
bool image_symbol_has(pid_t pid, const struct image *image, const char *name, uint64_t address);
