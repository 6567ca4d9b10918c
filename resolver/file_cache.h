/* Configuration files, read again when they change (device, inode, size, mtime, ctime), as glibc does since 2.26, and
 * while they are so young that another change would not show in these. A reader holds a reference to a snapshot, so
 * that no lock is held while a lookup waits. The current snapshot is protected by a lock for some tens of nanoseconds;
 * a forked child that finds it held by a thread of its parent takes it over. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct nd_snapshot {
    char *text;   /* NUL-terminated copy of the file; "" where there is none */
    size_t size;  /* bytes in text */
    int error;    /* errno where it could not be read, else 0 */
    void *parsed; /* the result of the file's `parse`; may be NULL */
    /* internal */
    struct stat key;
    bool young; /* it was read within two ticks of the file system's time stamps after the last change */
    dev_t root_device;
    ino_t root_inode;
    int references;
    bool permanent;
    void (*destroy)(void *parsed);
};

struct nd_file {
    const char *path;
    void *(*parse)(struct nd_snapshot *); /* may be NULL */
    void (*destroy)(void *parsed);
    bool once;          /* read once at the first use, where libc does the same */
    bool of_first_root; /* a process that has changed its root keeps what it has read, as libc does (before 2.34:
                           always) */
    struct nd_snapshot *current;
    int lock; /* 0, or the pid of the process whose thread holds it */
};

/* Returns the current snapshot, which the caller releases with nd_file_put. NULL: out of memory. Keeps errno. */
struct nd_snapshot *nd_file_get(struct nd_file *file);

/* As nd_file_get, but does not read a regular file of more than `limit` bytes: NULL then, with *too_large set. */
struct nd_snapshot *nd_file_get_small(struct nd_file *file, off_t limit, bool *too_large);

/* Releases a snapshot, which is freed with its last reference. */
void nd_file_put(struct nd_snapshot *snapshot);

/* A number, not 0, that is the same for two snapshots of the same file where it did not change between them. */
uint32_t nd_file_version(const struct nd_snapshot *snapshot);
