#include "shim/settings/program.h"

#include <errno.h>
#include <limits.h>
#include <sys/auxv.h>

#include "shim/raw.h"
#include "shim/settings/pattern.h"

static void copy_name(char *out, size_t size, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash && slash[1] ? slash + 1 : path;
    size_t length = strnlen(name, size - 1);
    memcpy(out, name, length);
    out[length] = '\0';
}

void nd_program_named(struct nd_program *program, const char *path) {
    *program = (struct nd_program){{""}};
    copy_name(program->names[0], sizeof program->names[0], path);
}

static void find_executable(struct nd_program *program) {
    static const char deleted[] = " (deleted)";
    char path[PATH_MAX];
    long length = ND_RAW6(readlinkat, AT_FDCWD, "/proc/self/exe", path, sizeof path - 1, 0, 0);
    if (length <= 0)
        return;
    path[length] = '\0';
    size_t tail = sizeof deleted - 1;
    if ((size_t)length > tail && strcmp(path + length - tail, deleted) == 0)
        path[(size_t)length - tail] = '\0';
    nd_program_named(program, path);
}

void nd_program_this(struct nd_program *program, bool is_secure) {
    int saved = errno;
    const char *executed = (const char *)(uintptr_t)getauxval(AT_EXECFN);
    *program = (struct nd_program){{""}};
    find_executable(program);
    if (executed && (!is_secure || !program->names[0][0])) /* in a chroot without /proc there is no other name */
        copy_name(program->names[1], sizeof program->names[1], executed);
    if (!is_secure && program_invocation_short_name)
        copy_name(program->names[2], sizeof program->names[2], program_invocation_short_name);
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
