#include "cli/process/unit_name.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SERVICE ".service"

/* Whether the instance is that of one connection: NUMBER-LOCAL-REMOTE, or NUMBER-PID-UID, as systemd.socket(5) has it.
 * Such names are without number, while those that an operator gives are few. */
static bool is_of_connection(const char *instance, size_t length) {
    size_t digits = strspn(instance, "0123456789");
    if (digits == 0 || digits >= length || instance[digits] != '-')
        return false;
    return memchr(instance + digits + 1, '-', length - digits - 1) != NULL;
}

static void store(const char *name, size_t length, char *out, size_t size) {
    const char *at = memchr(name, '@', length);
    size_t tail = sizeof SERVICE - 1;
    if (at && is_of_connection(at + 1, length - tail - (size_t)(at + 1 - name)))
        snprintf(out, size, "%.*s" SERVICE, (int)(at + 1 - name), name);
    else
        snprintf(out, size, "%.*s", (int)length, name);
}

/* systemd's own hierarchy, or the only one, is the one of the line that begins with "0::" or has "name=systemd". The
 * innermost service counts: those of a user are below user@1000.service. */
void unit_name_in(const char *cgroups, char *out, size_t size) {
    out[0] = '\0';
    while (*cgroups) {
        size_t length = strcspn(cgroups, "\n");
        const char *end = cgroups + length, *slash = memchr(cgroups, '/', length);
        bool is_its = strncmp(cgroups, "0::", 3) == 0 || memmem(cgroups, length, ":name=systemd:", 14);
        while (is_its && slash) {
            const char *name = slash + 1, *next = memchr(name, '/', (size_t)(end - name));
            size_t its = (size_t)((next ? next : end) - name), tail = sizeof SERVICE - 1;
            if (its > tail && memcmp(name + its - tail, SERVICE, tail) == 0)
                store(name, its, out, size);
            slash = next;
        }
        if (out[0])
            return;
        cgroups = *end ? end + 1 : end;
    }
}

void unit_name(pid_t pid, char *out, size_t size) {
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    unit_name_in(text, out, size);
}
