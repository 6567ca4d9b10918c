#include "cli/replace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli/cli.h"

enum { MOST_BYTES = 16 << 20, LOCK_TRIES = 300, LOCK_PAUSE_US = 100000 };

char *file_read(const char *path, size_t *size) {
    struct stat status;
    char *bytes = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error = EFBIG;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        error = EINVAL;
    else if (status.st_size <= MOST_BYTES)
        bytes = malloc((size_t)status.st_size + 1);
    ssize_t got = 0;
    for (*size = 0; bytes && *size < (size_t)status.st_size; *size += (size_t)got) {
        got = read(fd, bytes + *size, (size_t)status.st_size - *size);
        if (got < 0 && errno == EINTR)
            got = 0;
        else if (got <= 0)
            break;
    }
    if (bytes && got < 0) {
        error = errno;
        free(bytes);
        bytes = NULL;
    }
    close(fd);
    if (bytes)
        bytes[*size] = '\0';
    else
        errno = error;
    return bytes;
}

static int write_all(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);
        if (written < 0 && errno != EINTR)
            return -1;
        bytes += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return fsync(fd);
}

/* Gives the new file what the old one has. Extended attributes that cannot be kept are let go: the file system has
 * none, or a policy decides. */
static int keep_attributes(int fd, const char *old, mode_t mode) {
    static const char *const kept[] = {"security.selinux", "system.posix_acl_access"};
    struct stat status;
    char value[1024];
    if (stat(old, &status) != 0)
        return errno == ENOENT ? fchmod(fd, mode) : -1;
    if (!S_ISREG(status.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    if ((status.st_uid != geteuid() || status.st_gid != getegid()) && fchown(fd, status.st_uid, status.st_gid) != 0)
        return -1;
    if (fchmod(fd, status.st_mode & 07777) != 0)
        return -1;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        ssize_t length = getxattr(old, kept[i], value, sizeof value);
        if (length > 0 && fsetxattr(fd, kept[i], value, (size_t)length, 0) != 0)
            continue;
    }
    return 0;
}

/* Opens the directory of `path`. */
static int open_directory(const char *path) {
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (!slash)
        return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    slash[slash == directory] = '\0';
    return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int file_replace(const char *path, const char *bytes, size_t size, mode_t mode) {
    char target[PATH_MAX], other[PATH_MAX + 32];
    bool is_link = readlink(path, target, sizeof target) >= 0;
    if (is_link && !realpath(path, target))
        return -1;
    snprintf(other, sizeof other, "%s.netdeadline.XXXXXX", is_link ? target : path);
    int fd = mkstemp(other); /* mkostemp is younger than the oldest libc that the command runs with */
    if (fd < 0)
        return -1;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    const char *old = is_link ? target : path;
    int result = keep_attributes(fd, old, mode) == 0 && write_all(fd, bytes, size) == 0 ? 0 : -1, error = errno;
    if (close(fd) != 0 && result == 0)
        result = -1, error = errno;
    if (result == 0 && rename(other, old) != 0)
        result = -1, error = errno;
    if (result != 0)
        unlink(other);
    int directory = result == 0 ? open_directory(old) : -1;
    if (directory >= 0) { /* so that it is still there after a loss of power */
        fsync(directory);
        close(directory);
    }
    errno = error;
    return result;
}

void file_lock_directory(const char *path) {
    int fd = open_directory(path);
    for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK; i++)
        usleep(LOCK_PAUSE_US);
}

int file_cannot_write(const char *path) {
    int error = errno;
    const char *hint = error == EACCES || error == EPERM ? " (that takes root)"
                       : error == EROFS ? " (`netdeadline unit` prints a drop-in, which can be put elsewhere)"
                                        : "";
    cli_warn("cannot write %s: %s%s", path, strerror(error), hint);
    return CLI_FAILED;
}
