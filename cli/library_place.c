#include "cli/library_place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/replace_file.h"

/* Directories that are hidden from services (ProtectHome=, PrivateTmp=), or emptied. */
static bool is_private(const char *file) {
    static const char *const directories[] = {"/home/", "/root/", "/run/", "/tmp/", "/var/tmp/", "/dev/", "/mnt/"};
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++)
        if (strncmp(file, directories[i], strlen(directories[i])) == 0)
            return true;
    return false;
}

/* Whether a file or directory can be written by others than root; in a user namespace the host's root is whoever owns
 * its `/`. */
static bool is_others(const char *path) {
    struct stat status, top;
    if (stat(path, &status) != 0 || stat("/", &top) != 0)
        return true;
    return (status.st_uid != 0 && status.st_uid != top.st_uid) || (status.st_mode & (S_IWGRP | S_IWOTH));
}

const char *library_place_is_bad(const char *file) {
    static char reason[PATH_MAX + 64];
    char path[PATH_MAX];
    struct stat status;
    if (is_private(file))
        return "lies in a directory that services do not see, or that does not stay";
    snprintf(path, sizeof path, "%s", file);
    for (char *slash = path + strlen(path);; slash = strrchr(path, '/')) {
        *slash = '\0';
        if (is_others(path[0] ? path : "/")) {
            snprintf(reason, sizeof reason, "can be replaced by others than root, by %s", path);
            return reason;
        }
        if (!path[0])
            break;
    }
    return stat(file, &status) == 0 && !(status.st_mode & S_IROTH) ? "cannot be read by everybody" : NULL;
}

static int make_directories(const char *file) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", file);
    for (char *slash = path; (slash = strchr(slash + 1, '/')); *slash = '/') {
        *slash = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return -1;
    }
    return 0;
}

int library_copy(const char *file, const char *to) {
    size_t size, old_size = 0;
    char *bytes = file_read(file, &size), *old = bytes ? file_read(to, &old_size) : NULL;
    int result = -1;
    if (old && old_size == size && memcmp(old, bytes, size) == 0)
        result = 0;
    else if (bytes && make_directories(to) == 0)
        result = file_replace(to, bytes, size, 0644);
    int error = errno;
    free(bytes);
    free(old);
    errno = error;
    return result;
}

void library_remove_copy(const char *copy) {
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%s", copy);
    char *slash = strrchr(directory, '/');
    if (unlink(copy) == 0 && slash) {
        *slash = '\0';
        rmdir(directory);
    }
}
