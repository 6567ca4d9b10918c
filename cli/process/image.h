/* The ELF images in a process's memory: what was really loaded, whatever has become of the files. */
#ifndef CLI_PROCESS_IMAGE_H
#define CLI_PROCESS_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One loaded object. */
struct image {
    uint64_t start;  /* where its ELF header is mapped */
    char path[1024]; /* as /proc/PID/maps has it: text of whoever made the file */
};

/* Calls visit(image, arg) for every object in the process's memory until it returns true. Returns whether it did; -1 and errno
 * where the map cannot be read. */
int image_each(pid_t pid, bool (*visit)(const struct image *image, void *arg), void *arg);

/* The address of the exported symbol `name`, or 0. Trusts nothing it reads. */
uint64_t image_symbol(pid_t pid, const struct image *image, const char *name);

#endif
