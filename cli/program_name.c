#include "cli/program_name.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/process/memory.h"
#include "cli/process/processes.h"
#include "shim/settings/program.h"

/* Where the kernel has put the path that was executed. Its address is a word of the process's class. */
static uint64_t find_executed(pid_t pid) {
    char path[64], vector[4096];
    const bool is_64 = process_is_64(pid);
    const size_t word = is_64 ? 8 : 4;
    snprintf(path, sizeof path, "/proc/%d/auxv", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, vector, sizeof vector) : -1;
    if (fd >= 0)
        close(fd);
    for (size_t at = 0; got > 0 && at + 2 * word <= (size_t)got; at += 2 * word) {
        uint64_t type = 0, value = 0;
        uint32_t narrow[2];
        memcpy(narrow, vector + at, sizeof narrow);
        type = narrow[0], value = narrow[1];
        if (is_64) {
            memcpy(&type, vector + at, word);
            memcpy(&value, vector + at + word, word);
        }
        if (type == AT_EXECFN)
            return value;
    }
    return 0;
}

void program_name_of(pid_t pid, char *out, size_t size) {
    char link[64], path[PATH_MAX];
    uint64_t executed = find_executed(pid);
    if (executed && memory_read_text(pid, executed, path, sizeof path) == 0 && path[0]) {
        nd_program_file_name(out, size, path);
        return;
    }
    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0)
        nd_program_executable_name(out, size, path, (size_t)length);
    else
        process_raw_name(pid, out, size);
}

void program_name_as_pattern(const char *name, char *out, size_t size) {
    static const char *const words[] = {"program", "destination", "inbound", "outbound"};
    size_t used = 0;
    for (; *name && used + 1 < size; name++) {
        bool is_plain = *name > ' ' && *name < 0x7f && !strchr(",#[];*?\"", *name);
        out[used++] = is_plain ? *name : '?';
    }
    out[used] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(out, words[i]) == 0)
            out[0] = '?';
}
