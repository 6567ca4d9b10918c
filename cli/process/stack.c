#include "cli/process/stack.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <libunwind-ptrace.h>
#include <stdbool.h>
#include <string.h>

#include "base/line.h"
#include "cli/process/image.h"
#include "cli/process/processes.h"
#include "cli/process/python.h"
#include "cli/process/stop.h"

enum { MOST_FRAMES = 64 };

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

/* libunwind is loaded, not linked, because the command has to start on hosts that have none. FUNCTION(library, name) */
#define FUNCTIONS                                                                                                      \
    FUNCTION(ptrace, _UPT_create)                                                                                      \
    FUNCTION(ptrace, _UPT_destroy)                                                                                     \
    FUNCTION(generic, unw_create_addr_space)                                                                           \
    FUNCTION(generic, unw_destroy_addr_space)                                                                          \
    FUNCTION(generic, unw_init_remote)                                                                                 \
    FUNCTION(generic, unw_step)                                                                                        \
    FUNCTION(generic, unw_get_reg)                                                                                     \
    FUNCTION(generic, unw_get_proc_name)

#define FUNCTION(library, name) static __typeof__(name) *p_##name;
FUNCTIONS
#undef FUNCTION
static unw_accessors_t *accessors;

int stack_start(void) {
    void *generic = dlopen("libunwind-" TEXT(UNW_TARGET) ".so.8", RTLD_NOW | RTLD_GLOBAL);
    void *ptrace_part = generic ? dlopen("libunwind-ptrace.so.0", RTLD_NOW) : NULL;
    bool complete = ptrace_part != NULL;
    void *of_ptrace = ptrace_part, *of_generic = generic;
#define FUNCTION(library, name)                                                                                        \
    if (complete)                                                                                                      \
        *(void **)&p_##name = dlsym(of_##library, TEXT(name));                                                         \
    complete = complete && p_##name;
    FUNCTIONS
#undef FUNCTION
    accessors = complete ? dlsym(ptrace_part, "_UPT_accessors") : NULL;
    return accessors ? 0 : -1;
}

struct where {
    uint64_t address, start;
    char path[256];
};

/* Finds the object that begins nearest below the address. Objects do not overlap. */
static bool find_object(const struct image *image, void *arg) {
    struct where *where = arg;
    if (image->start <= where->address && image->start >= where->start) {
        where->start = image->start;
        snprintf(where->path, sizeof where->path, "%.255s", image->path);
    }
    return false;
}

static void print_frame(pid_t pid, unw_cursor_t *cursor, uint64_t address, FILE *to) {
    char name[256], text[1024];
    unw_word_t offset = 0;
    struct nd_line line;
    struct where where = {.address = address};
    nd_line_start(&line, text, sizeof text);
    if (p_unw_get_proc_name(cursor, name, sizeof name, &offset) == 0 || name[0] == '\0') {
        name[sizeof name - 1] = '\0';
        nd_line_put_escaped(&line, name, strlen(name), 256);
        nd_line_put(&line, "+0x");
        nd_line_put_hex(&line, offset);
    } else {
        nd_line_put(&line, "?");
    }
    image_each(pid, find_object, &where);
    if (where.start) {
        const char *base = strrchr(where.path, '/');
        base = base ? base + 1 : where.path;
        nd_line_put(&line, " (");
        nd_line_put_escaped(&line, base, strlen(base), 128);
        nd_line_put_char(&line, ')');
    }
    fprintf(to, "        0x%012" PRIx64 " %s\n", address, text);
}

static void print_frames(pid_t pid, pid_t tid, FILE *to) {
    unw_cursor_t cursor;
    unw_addr_space_t space = p_unw_create_addr_space(accessors, 0);
    void *state = space ? p__UPT_create(tid) : NULL;
    int frames = 0;
    if (state && p_unw_init_remote(&cursor, space, state) == 0)
        do {
            unw_word_t address = 0;
            if (p_unw_get_reg(&cursor, UNW_REG_IP, &address) != 0 || address == 0)
                break;
            print_frame(pid, &cursor, address, to);
        } while (++frames < MOST_FRAMES && p_unw_step(&cursor) > 0);
    if (frames == 0)
        fprintf(to, "        (the stack cannot be unwound)\n");
    if (state)
        p__UPT_destroy(state);
    if (space)
        p_unw_destroy_addr_space(space);
}

void stack_print(pid_t pid, pid_t tid, FILE *to) {
    if (process_is_64(pid) != (sizeof(void *) == 8)) { /* libunwind reads only the class that it was built for */
        fprintf(to, "        (no stack: a program of another class than this command)\n");
        return;
    }
    python_prepare(pid, tid);
    const int signal = thread_stop(tid);
    if (signal >= 0) {
        if (accessors)
            print_frames(pid, tid, to);
        python_print(pid, tid, to);
        thread_go_on(tid, signal);
    } else if (errno == ETIMEDOUT) {
        fprintf(to, "        (no stack: the thread does not stop)\n");
    } else if (errno != ESRCH) {
        fprintf(to, "        (no stack: %s)\n", strerror(errno));
    }
}
