#include "cli/program.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { MOST_INTERPRETERS = 4, HEAD = 256 };

static bool is_executable_file(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* The first executable file called `name` along PATH, as execvp finds it. */
static int find_on_path(const char *name, char *out, size_t size) {
    const char *path = getenv("PATH");
    if (!path)
        path = "/bin:/usr/bin";
    for (;; path++) {
        size_t length = strcspn(path, ":");
        int written = snprintf(out, size, "%.*s%s%s", (int)length, path, length ? "/" : "./", name);
        if (written > 0 && (size_t)written < size && is_executable_file(out))
            return 0;
        path += length;
        if (*path == '\0')
            return -1;
    }
}

/* Whether ld.so would run the program in its secure mode, because the program gains rights by being executed. */
static bool gains_rights(int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0)
        return false;
    if ((status.st_mode & S_ISUID) && status.st_uid != getuid())
        return true;
    if ((status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && status.st_gid != getgid())
        return true;
    return getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

static bool read_at(int fd, void *buffer, size_t size, uint64_t offset) {
    return offset <= INT64_MAX && pread(fd, buffer, size, (off_t)offset) == (ssize_t)size;
}

/* Whether any program header is PT_INTERP. p_type comes first in both classes. */
static bool has_interpreter(int fd, uint64_t table, unsigned entry_size, unsigned count) {
    Elf64_Word type;
    for (unsigned i = 0; i < count; i++)
        if (read_at(fd, &type, sizeof type, table + (uint64_t)i * entry_size) && type == PT_INTERP)
            return true;
    return false;
}

/* Files of the other byte order are left at "not ELF": nothing here could run them. */
static void read_elf(int fd, struct program *program) {
    union {
        unsigned char ident[EI_NIDENT];
        Elf32_Ehdr small;
        Elf64_Ehdr large;
    } header;
    const int order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
    if (!read_at(fd, &header.small, sizeof header.small, 0) || memcmp(header.ident, ELFMAG, SELFMAG) != 0)
        return;
    if (header.ident[EI_DATA] != order)
        return;
    if (header.ident[EI_CLASS] == ELFCLASS32) {
        program->bits = 32;
        program->is_static = !has_interpreter(fd, header.small.e_phoff, header.small.e_phentsize, header.small.e_phnum);
    } else if (header.ident[EI_CLASS] == ELFCLASS64 && read_at(fd, &header.large, sizeof header.large, 0)) {
        program->bits = 64;
        program->is_static = !has_interpreter(fd, header.large.e_phoff, header.large.e_phentsize, header.large.e_phnum);
    } else {
        return;
    }
    program->is_elf = true;
    program->machine = header.small.e_machine; /* at the same place in both classes */
}

/* Puts the interpreter of "#!/bin/sh -e" into `out`. Returns -1 where the file is no script. */
static int read_script_interpreter(int fd, char *out, size_t size) {
    char head[HEAD + 1];
    ssize_t count = pread(fd, head, HEAD, 0);
    if (count < 3 || head[0] != '#' || head[1] != '!')
        return -1;
    head[count] = '\0';
    const char *start = head + 2 + strspn(head + 2, " \t");
    size_t length = strcspn(start, " \t\r\n");
    if (length == 0 || length >= size)
        return -1;
    memcpy(out, start, length);
    out[length] = '\0';
    return 0;
}

int program_inspect_file(const char *path, struct program *program) {
    char next[HEAD + 1];
    *program = (struct program){0};
    for (int step = 0; step <= MOST_INTERPRETERS; step++) {
        snprintf(program->path, sizeof program->path, "%s", path);
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
            return -1;
        bool is_script = read_script_interpreter(fd, next, sizeof next) == 0;
        if (!is_script) {
            program->is_privileged = gains_rights(fd);
            read_elf(fd, program);
        }
        close(fd);
        if (!is_script)
            return 0;
        path = next;
    }
    return -1;
}

int program_inspect(const char *name, struct program *program) {
    char path[PATH_MAX];
    if (strchr(name, '/'))
        return program_inspect_file(name, program);
    if (find_on_path(name, path, sizeof path) != 0)
        return -1;
    return program_inspect_file(path, program);
}
