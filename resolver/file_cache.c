#include "resolver/file_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "resolver/libc_version.h"
#include "resolver/lock.h"

/* A larger file is treated as unreadable: it would take too much of the program's memory. */
#define MAX_SIZE ((size_t)256 << 20)

/* Two ticks of the clocks that time stamps come from: the kernel's tick is 10 ms at most, and file systems that store
 * whole seconds store even ones at worst. */
#define YOUNG_NS 20000000
#define YOUNG_S 4

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Whether a change after `now` could leave the time stamps as they are. Only ctime cannot be set by programs. */
static bool is_young(const struct stat *key, const struct timespec *now) {
    int64_t age = (int64_t)now->tv_sec - key->st_ctim.tv_sec;
    if (key->st_ctim.tv_nsec == 0)
        return age < YOUNG_S && age > -YOUNG_S;
    if (age > 1 || age < -1)
        return false;
    age = age * 1000000000 + now->tv_nsec - key->st_ctim.tv_nsec;
    return age < YOUNG_NS && age > -YOUNG_NS;
}

static int read_text(int fd, struct nd_snapshot *s) {
    /* one byte more than the file has, so that the read at its end needs no reallocation */
    size_t capacity = s->key.st_size > 0 && (size_t)s->key.st_size < MAX_SIZE ? (size_t)s->key.st_size + 1 : 4096;
    s->text = malloc(capacity + 1);
    while (s->text) {
        ssize_t n = read(fd, s->text + s->size, capacity - s->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        s->size += (size_t)n;
        if (n == 0) {
            s->text[s->size] = '\0';
            return 0;
        }
        if (s->size < capacity)
            continue;
        if (capacity > MAX_SIZE)
            return EFBIG;
        capacity = capacity < 4096 ? capacity + 64 : capacity + capacity / 2;
        char *bigger = realloc(s->text, capacity + 1);
        if (!bigger)
            return ENOMEM;
        s->text = bigger;
    }
    return ENOMEM;
}

static struct nd_snapshot *read_file(const struct nd_file *file) {
    struct nd_snapshot *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    struct timespec now = {0};
    struct stat root;
    s->references = 1;
    s->destroy = file->destroy;
    if (clock_gettime(CLOCK_REALTIME_COARSE, &now) != 0) /* before Linux 2.6.32 */
        clock_gettime(CLOCK_REALTIME, &now);
    if (file->of_first_root && stat("/", &root) == 0) {
        s->root_device = root.st_dev;
        s->root_inode = root.st_ino;
    }
    /* O_NONBLOCK: the open of a FIFO must not block */
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &s->key) != 0)
        s->error = errno;
    else if (S_ISDIR(s->key.st_mode))
        s->error = EISDIR;
    else if (S_ISREG(s->key.st_mode))
        s->error = read_text(fd, s);
    if (fd >= 0)
        close(fd);
    s->young = !s->error && is_young(&s->key, &now);
    if (s->error || !s->text) {
        free(s->text);
        s->text = calloc(1, 1);
        s->size = 0;
    }
    if (!s->text) {
        free(s);
        return NULL;
    }
    return s;
}

/* The current snapshot, where the file that `read` is of has the same content: only its key has changed, or it was
 * young. Otherwise `read`, parsed. */
static struct nd_snapshot *keep_same(struct nd_file *file, struct nd_snapshot *read) {
    struct nd_snapshot *same = NULL;
    if (nd_lock_try(&file->lock)) {
        struct nd_snapshot *s = file->current;
        if (s && !s->error && !read->error && s->size == read->size && memcmp(s->text, read->text, s->size) == 0) {
            same = s;
            same->key = read->key;
            same->young = read->young;
            __atomic_add_fetch(&same->references, 1, __ATOMIC_RELAXED);
        }
        nd_unlock(&file->lock);
    }
    if (same)
        nd_file_put(read);
    else if (file->parse)
        read->parsed = file->parse(read);
    return same ? same : read;
}

/* Whether the process has changed its root since `s` was read. */
static bool has_other_root(const struct nd_snapshot *s) {
    struct stat root;
    return stat("/", &root) == 0 && (root.st_dev != s->root_device || root.st_ino != s->root_inode);
}

static struct nd_snapshot *find_current(struct nd_file *file, const struct stat *now, int error) {
    struct nd_snapshot *s = file->current;
    if (!s)
        return NULL;
    bool same = !s->young && s->error == error && (error || same_file(&s->key, now));
    if (!same && !(file->of_first_root && has_other_root(s)))
        return NULL;
    __atomic_add_fetch(&s->references, 1, __ATOMIC_RELAXED);
    return s;
}

struct nd_snapshot *nd_file_get(struct nd_file *file) {
    bool too_large;
    return nd_file_get_small(file, -1, &too_large);
}

struct nd_snapshot *nd_file_get_small(struct nd_file *file, off_t limit, bool *too_large) {
    *too_large = false;
    bool once = file->once || (file->of_first_root && nd_libc_before(34));
    if (once) {
        struct nd_snapshot *known = __atomic_load_n(&file->current, __ATOMIC_ACQUIRE);
        if (known)
            return known;
    }
    int saved = errno;
    struct stat now;
    int error = stat(file->path, &now) == 0 ? 0 : errno;
    struct nd_snapshot *s = NULL, *old = NULL;

    if (nd_lock_try(&file->lock)) {
        s = find_current(file, &now, error);
        nd_unlock(&file->lock);
    }
    if (s)
        goto done;
    if (!error && limit >= 0 && S_ISREG(now.st_mode) && now.st_size > limit) {
        *too_large = true;
        goto done;
    }
    s = read_file(file);
    s = s ? keep_same(file, s) : NULL;
    if (s && nd_lock_try(&file->lock)) {
        old = file->current;
        if (once && old) { /* another thread has stored its snapshot; these are permanent and not counted */
            nd_unlock(&file->lock);
            nd_file_put(s);
            s = old;
            old = NULL;
            goto done;
        }
        if (s == old) {
            old = NULL;
        } else {
            if (once)
                s->permanent = true;
            __atomic_add_fetch(&s->references, 1, __ATOMIC_RELAXED);
            __atomic_store_n(&file->current, s, __ATOMIC_RELEASE);
        }
        nd_unlock(&file->lock);
    }
    if (old)
        nd_file_put(old);
done:
    errno = saved;
    return s;
}

void nd_file_put(struct nd_snapshot *s) {
    if (!s || s->permanent || __atomic_sub_fetch(&s->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    if (s->parsed && s->destroy)
        s->destroy(s->parsed);
    free(s->text);
    free(s);
}

uint32_t nd_file_version(const struct nd_snapshot *s) {
    const struct stat *key = &s->key;
    const uint64_t parts[] = {key->st_dev,
                              key->st_ino,
                              (uint64_t)key->st_size,
                              (uint64_t)key->st_mtim.tv_sec,
                              (uint64_t)key->st_mtim.tv_nsec,
                              (uint64_t)key->st_ctim.tv_sec,
                              (uint64_t)key->st_ctim.tv_nsec};
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        h = (h ^ parts[i]) * 1099511628211u;
    for (size_t i = 0; i < s->size; i++) /* a young file may change without a sign */
        h = (h ^ (unsigned char)s->text[i]) * 1099511628211u;
    h ^= h >> 32;
    return (uint32_t)h ? (uint32_t)h : 1;
}
