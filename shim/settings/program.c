#include "shim/settings/program.h"

#include <errno.h>
#include <limits.h>
#include <sys/auxv.h>

#include "shim/raw.h"
#include "shim/settings/pattern.h"

void nd_program_file_name(char *out, size_t size, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash && slash[1] ? slash + 1 : path;
    size_t length = strnlen(name, size - 1);
    memcpy(out, name, length);
    out[length] = '\0';
}

void nd_program_executable_name(char *out, size_t size, char *target, size_t length) {
    static const char deleted[] = " (deleted)";
    const size_t tail = sizeof deleted - 1;
    target[length] = '\0';
    if (length > tail && strcmp(target + length - tail, deleted) == 0)
        target[length - tail] = '\0';
    nd_program_file_name(out, size, target);
}

void nd_program_named(struct nd_program *program, const char *path) {
    *program = (struct nd_program){{""}};
    nd_program_file_name(program->names[0], sizeof program->names[0], path);
}

static void find_executable(struct nd_program *program) {
    char path[PATH_MAX];
    long length = ND_RAW6(readlinkat, AT_FDCWD, "/proc/self/exe", path, sizeof path - 1, 0, 0);
    if (length > 0)
        nd_program_executable_name(program->names[0], sizeof program->names[0], path, (size_t)length);
}

void nd_program_this(struct nd_program *program, bool is_secure) {
    int saved = errno;
    const char *executed = (const char *)(uintptr_t)getauxval(AT_EXECFN);
    *program = (struct nd_program){{""}};
    find_executable(program);
    if (executed && (!is_secure || !program->names[0][0])) /* in a chroot without /proc there is no other name */
        nd_program_file_name(program->names[1], sizeof program->names[1], executed);
    if (!is_secure && program_invocation_short_name)
        nd_program_file_name(program->names[2], sizeof program->names[2], program_invocation_short_name);
    errno = saved;
}

bool nd_program_matches(const struct nd_program *program, struct nd_word pattern) {
    for (int i = 0; i < ND_PROGRAM_NAMES; i++)
        if (program->names[i][0] && nd_pattern_matches(pattern, program->names[i]))
            return true;
    return false;
}

static bool is_separator(char c) {
    return nd_is_space(c) || c == ',';
}

bool nd_program_next(struct nd_word *list, struct nd_word *name) {
    while (list->size > 0 && is_separator(*list->at))
        list->at++, list->size--;
    name->at = list->at;
    while (list->size > 0 && !is_separator(*list->at))
        list->at++, list->size--;
    name->size = (size_t)(list->at - name->at);
    return name->size > 0;
}

bool nd_program_in(const struct nd_program *program, struct nd_word list) {
    struct nd_word name;
    while (nd_program_next(&list, &name))
        if (nd_program_matches(program, name))
            return true;
    return false;
}
