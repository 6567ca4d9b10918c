#include "cli/process/unit_name.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

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

/* Finds the service in the text of /proc/PID/cgroup; NULL for none. systemd's own hierarchy, or the only one, is the one
 * of the line that begins with "0::" or has "name=systemd". The innermost service counts: those of a user are below
 * user@1000.service. */
static const char *find_service(const char *cgroups, size_t *length) {
    const size_t tail = sizeof SERVICE - 1;
    const char *found = NULL;
    while (*cgroups && !found) {
        const char *end = strchrnul(cgroups, '\n'), *slash = memchr(cgroups, '/', (size_t)(end - cgroups));
        bool is_its = strncmp(cgroups, "0::", 3) == 0 || memmem(cgroups, (size_t)(end - cgroups), ":name=systemd:", 14);
        while (is_its && slash) {
            const char *name = slash + 1, *next = memchr(name, '/', (size_t)(end - name));
            const size_t its = (size_t)((next ? next : end) - name);
            const size_t escape = *name == '_'; /* before what the cgroup file system may take for a file of its own */
            if (its > tail + escape && memcmp(name + its - tail, SERVICE, tail) == 0)
                found = name + escape, *length = its - escape;
            slash = next;
        }
        cgroups = *end ? end + 1 : end;
    }
    return found;
}

/* Reads the cgroups of a process: a line for each hierarchy, of which version 1 has a dozen. */
static void read_cgroups(pid_t pid, char *out, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    FILE *file = fopen(path, "re");
    out[file ? fread(out, 1, size - 1, file) : 0] = '\0';
    if (file)
        fclose(file);
}

enum { MOST_CGROUPS = 1 << 14 };

void unit_name_in(const char *cgroups, char *out, size_t size) {
    size_t length;
    const char *name = find_service(cgroups, &length);
    out[0] = '\0';
    if (name)
        store(name, length, out, size);
}

void unit_name(pid_t pid, char *out, size_t size) {
    char text[MOST_CGROUPS];
    read_cgroups(pid, text, sizeof text);
    unit_name_in(text, out, size);
}

void unit_name_of_instance(pid_t pid, char *out, size_t size) {
    char text[MOST_CGROUPS];
    size_t length = 0;
    read_cgroups(pid, text, sizeof text);
    const char *name = find_service(text, &length);
    snprintf(out, size, "%.*s", (int)length, name ? name : "");
}
