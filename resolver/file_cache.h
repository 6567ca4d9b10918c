/* Configuration files, read again when they change (device, inode, size, mtime, ctime), as glibc does since 2.26. A
 * reader holds a counted snapshot, so that nothing is locked while a lookup waits; the list itself is guarded for some
 * tens of nanoseconds by a lock that a forked child may find held by a thread it does not have, and then takes over. */
#ifndef ND_RESOLVER_FILE_CACHE_H
#define ND_RESOLVER_FILE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct nd_snapshot {
    char *text;   /* NUL-terminated copy of the file; "" when there is none */
    size_t size;  /* bytes in text */
    int error;    /* errno of the failure to read it, else 0 */
    void *parsed; /* what the file's `parse` made of it; may be NULL */
    /* the cache's own */
    struct stat key;
    int references;
    bool kept;
    void (*destroy)(void *parsed);
};

struct nd_file {
    const char *path;
    void *(*parse)(struct nd_snapshot *); /* may be NULL */
    void (*destroy)(void *parsed);
    bool once; /* read at the first need and never again, where libc does so, too */
    struct nd_snapshot *current;
    int lock; /* 0, or the pid of the process whose thread holds it */
};

/* The file as it is now; give it back with nd_file_put. NULL only when there is no memory. Keeps errno. */
struct nd_snapshot *nd_file_get(struct nd_file *file);
void nd_file_put(struct nd_snapshot *snapshot);

#endif
