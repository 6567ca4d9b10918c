#include "cli/process/processes.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/process/escape.h"

enum { HIGHEST_PID = 1 << 22 };

static int each(const char *directory, void (*visit)(pid_t number, void *arg), void *arg) {
    DIR *proc = opendir(directory);
    if (!proc)
        return -1;
    for (const struct dirent *entry; (entry = readdir(proc));) {
        pid_t number = process_parse(entry->d_name);
        if (number)
            visit(number, arg);
    }
    closedir(proc);
    return 0;
}

int process_each(void (*visit)(pid_t pid, void *arg), void *arg) {
    return each("/proc", visit, arg);
}

int process_each_thread(pid_t pid, void (*visit)(pid_t tid, void *arg), void *arg) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    return each(path, visit, arg);
}

pid_t process_parse(const char *text) {
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 7 || text[length] != '\0')
        return 0;
    long number = strtol(text, NULL, 10);
    return number <= HIGHEST_PID ? (pid_t)number : 0;
}

bool process_exists(pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    return access(path, F_OK) == 0;
}

/* Reads the beginning of a file of the process. Returns its length, or -1. */
static ssize_t read_file(pid_t pid, const char *name, char *out, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, out, size) : -1;
    if (fd >= 0)
        close(fd);
    return length;
}

void process_raw_name(pid_t pid, char *out, size_t size) {
    ssize_t length = read_file(pid, "comm", out, size - 1);
    if (length <= 0)
        length = snprintf(out, size, "?");
    length -= out[length - 1] == '\n';
    out[length] = '\0';
}

void process_name(pid_t pid, char *out, size_t size) {
    char name[64];
    process_raw_name(pid, name, sizeof name);
    escape(out, size, name);
}

/* The fields of /proc/PID/stat that are looked at, by their numbers in proc_pid_stat(5). */
enum { FLAGS = 9, THREADS = 20, STARTED = 22, MEMORY = 23, CODE = 26, STACK = 28 };

/* Fills in the fields that are numbers; all are 0 where the file cannot be read. */
static bool read_stat(pid_t pid, unsigned long long fields[STACK + 1]) {
    char text[2048];
    ssize_t length = read_file(pid, "stat", text, sizeof text - 1);
    text[length > 0 ? length : 0] = '\0';
    memset(fields, 0, (STACK + 1) * sizeof *fields);
    const char *at = strrchr(text, ')'); /* the name's end is before the third field */
    for (int field = 2; at && field <= STACK; field++) {
        fields[field] = field > 3 ? strtoull(at, NULL, 10) : 0;
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    return length > 0;
}

struct process_identity process_identity(pid_t pid) {
    unsigned long long fields[STACK + 1];
    read_stat(pid, fields);
    return (struct process_identity){.started = fields[STARTED], .code = fields[CODE], .stack = fields[STACK]};
}

enum process_life process_life(pid_t pid) {
    enum { KERNEL_THREAD = 0x00200000 };
    unsigned long long fields[STACK + 1];
    if (!read_stat(pid, fields))
        return PROCESS_ENDED;
    if (fields[MEMORY] > 0 || (fields[FLAGS] & KERNEL_THREAD))
        return PROCESS_LIVES;
    return fields[THREADS] > 1 ? PROCESS_HEADLESS : PROCESS_ENDED;
}

bool process_is_64(pid_t pid) {
    char ident[EI_NIDENT];
    return read_file(pid, "exe", ident, sizeof ident) != sizeof ident || ident[EI_CLASS] == ELFCLASS64;
}

pid_t process_inner_tid(pid_t pid, pid_t tid) {
    char path[64], line[512];
    pid_t inner = tid;
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)pid, (int)tid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "NSpid:", 6) != 0) /* Linux 4.1 */
            continue;
        const char *last = strrchr(line, '\t');
        inner = last ? (pid_t)strtol(last + 1, NULL, 10) : tid;
        break;
    }
    if (file)
        fclose(file);
    return inner;
}

int64_t process_clock_offset(pid_t pid) {
    char path[64], name[16];
    long long seconds, ns, offset = 0;
    snprintf(path, sizeof path, "/proc/%d/timens_offsets", (int)pid); /* Linux 5.5 */
    FILE *file = fopen(path, "re");
    while (file && fscanf(file, "%15s %lld %lld", name, &seconds, &ns) == 3)
        if (strcmp(name, "monotonic") == 0)
            offset = seconds * 1000000000 + ns;
    if (file)
        fclose(file);
    return offset;
}
