#include "cli/process/stack.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <libunwind-ptrace.h>
#include <stdbool.h>
#include <string.h>

#include "base/line.h"
#include "cli/process/caller.h"
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
    FUNCTION(generic, unw_get_reg)

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
    uint64_t address;
    struct image image; /* of the object that the address is in; its start is 0 where there is none */
};

/* Finds the object that begins nearest below the address. Objects do not overlap. */
static bool find_object(const struct image *image, void *arg) {
    struct where *where = arg;
    if (image->start <= where->address && image->start >= where->image.start)
        where->image = *image;
    return false;
}

/* Whether the address is past the end of the function: of a file that only has the names that it exports, libunwind
 * gives the nearest one below, whatever function without a name the address is in. */
static bool is_past(pid_t pid, const struct where *where, const char *name, uint64_t offset) {
    const struct image *image = &where->image;
    return image->start && image_symbol(pid, image, name) == where->address - offset &&
           !image_symbol_has(pid, image, name, where->address) &&
           !image_symbol_has(pid, image, name, where->address - 1); /* where a call ends the function */
}

/* What is walked of one thread's stack. */
struct walk {
    pid_t pid;
    FILE *to;
    unw_addr_space_t space;
    void *state;
    bool is_musl;
    int frames;
    uint64_t stack; /* of the last frame */
    bool has_left;  /* a frame was outside of the C library */
};

static void print_frame(const struct walk *walk, uint64_t address) {
    char name[256] = "", text[1024];
    unw_word_t offset = 0;
    struct nd_line line;
    struct where where = {.address = address};
    nd_line_start(&line, text, sizeof text);
    image_each(walk->pid, find_object, &where);
    accessors->get_proc_name(walk->space, address, name, sizeof name, &offset, walk->state);
    name[sizeof name - 1] = '\0';
    if (name[0] != '\0' && !is_past(walk->pid, &where, name, offset)) {
        nd_line_put_escaped(&line, name, strlen(name), 256);
        nd_line_put(&line, "+0x");
        nd_line_put_hex(&line, offset);
    } else {
        nd_line_put(&line, "?");
    }
    if (where.image.start) {
        const char *base = strrchr(where.image.path, '/');
        base = base ? base + 1 : where.image.path;
        nd_line_put(&line, " (");
        nd_line_put_escaped(&line, base, strlen(base), 128);
        nd_line_put_char(&line, ')');
    }
    fprintf(walk->to, "        0x%012" PRIx64 " %s\n", address, text);
}

/* The frame that libunwind begins with in place of the innermost one; an address of 0: none. */
static struct { uint64_t address, stack; } begin;

static int access_register(unw_addr_space_t space, unw_regnum_t number, unw_word_t *value, int is_write, void *state) {
#ifdef __x86_64__
    if (begin.address && !is_write && (number == UNW_X86_64_RIP || number == UNW_X86_64_RSP)) {
        *value = number == UNW_X86_64_RIP ? begin.address : begin.stack;
        return 0;
    }
#endif
    return accessors->access_reg(space, number, value, is_write, state);
}

/* Whether the caller is to be found by the return addresses on the stack. Musl comes without what its frames are
 * unwound by, and what libunwind guesses by the frame pointer leaves out callers. On other machines a return address
 * may be in a register. */
static bool is_to_search(const struct walk *walk) {
#ifdef __x86_64__
    return walk->is_musl && !walk->has_left && walk->frames > 0 && walk->frames < MOST_FRAMES;
#else
    (void)walk;
    return false;
#endif
}

static void print_from(struct walk *walk, const struct code_map *code) {
    unw_cursor_t cursor;
    if (p_unw_init_remote(&cursor, walk->space, walk->state) != 0)
        return;
    do {
        unw_word_t address = 0, stack = 0;
        if (p_unw_get_reg(&cursor, UNW_REG_IP, &address) != 0 || address == 0 ||
            p_unw_get_reg(&cursor, UNW_REG_SP, &stack) != 0)
            break;
        walk->stack = stack;
        walk->has_left = walk->has_left || !code_map_is_c_library(code, address);
        print_frame(walk, address);
    } while (++walk->frames < MOST_FRAMES && !is_to_search(walk) && p_unw_step(&cursor) > 0);
}

/* Goes on from the next return address on the stack. Returns whether there is one. */
static bool go_on(const struct walk *walk, const struct code_map *code) {
    begin.stack = walk->stack;
    begin.address = code_map_return_address(code, &begin.stack);
    return begin.address != 0;
}

static bool is_musl(const struct image *image, void *arg) {
    const struct walk *walk = arg;
    return image_symbol(walk->pid, image, "_dl_debug_addr") != 0;
}

static void print_frames(pid_t pid, pid_t tid, FILE *to) {
    unw_accessors_t ours = *accessors;
    ours.access_reg = access_register;
    struct walk walk = {.pid = pid, .to = to, .space = p_unw_create_addr_space(&ours, 0)};
    struct code_map code;
    walk.state = walk.space ? p__UPT_create(tid) : NULL;
    code_map_read(&code, pid, NULL);
    walk.is_musl = image_each(pid, is_musl, &walk) == 1;
    begin.address = 0;
    if (walk.state)
        do
            print_from(&walk, &code);
        while (is_to_search(&walk) && go_on(&walk, &code));
    if (walk.frames == 0)
        fprintf(to, "        (the stack cannot be unwound)\n");
    code_map_free(&code);
    if (walk.state)
        p__UPT_destroy(walk.state);
    if (walk.space)
        p_unw_destroy_addr_space(walk.space);
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
