#include "shim/report/backtrace.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>

#include "shim/report/backtrace_guard.h"
#include "shim/report/context.h"
#include "shim/report/module.h"
#include "shim/report/origin.h"
#include "shim/report/unwind.h"

enum { MOST_FRAMES = 32, MOST_STEPS = 64 };

/* Whether a thread is in libunwind. In a child that is forked meanwhile it stays true. */
static _Atomic bool is_claimed;

bool nd_backtrace_begin(void) {
    return nd_backtrace_is_safe() && !atomic_exchange_explicit(&is_claimed, true, memory_order_acquire);
}

void nd_backtrace_end(void) {
    atomic_store_explicit(&is_claimed, false, memory_order_release);
}

/* The ELF header of the file that contains this code; the linker defines it. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

/* The addresses of this library. Empty where it is linked into a program (a unit test), which has further frames
 * there. */
static void own_range(uintptr_t *start, uintptr_t *end) {
    const ElfW(Ehdr) *file = (const void *)__ehdr_start;
    const ElfW(Phdr) *header = (const void *)(__ehdr_start + file->e_phoff);
    uintptr_t base = (uintptr_t)__ehdr_start;
    *start = *end = base;
    for (int i = 0; i < file->e_phnum; i++) {
        if (header[i].p_type == PT_INTERP) {
            *end = base;
            return;
        }
        if (header[i].p_type == PT_LOAD && base + header[i].p_vaddr + header[i].p_memsz > *end)
            *end = base + header[i].p_vaddr + header[i].p_memsz;
    }
}

static const char *file_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The loader knows the exported functions, also where the file cannot be read (in a chroot). */
static bool find_exported(uintptr_t address, char *name, size_t size, uintptr_t *start) {
    Dl_info info;
    if (dladdr((const void *)address, &info) == 0 || !info.dli_sname)
        return false;
    size_t length = strnlen(info.dli_sname, size - 1);
    memcpy(name, info.dli_sname, length);
    name[length] = '\0';
    *start = (uintptr_t)info.dli_saddr;
    return true;
}

static void put_module(struct nd_line *line, const struct nd_module *module) {
    char program[] = "/proc/self/exe";
    const char *file = strcmp(module->path, program) == 0 ? nd_origin_program() : file_part(module->path);
    nd_line_put_char(line, '@');
    nd_line_put_escaped(line, file, strlen(file), 64);
}

/* `address` is where a call returns to. The function is looked up by the byte before it, which belongs to the call. */
static void put_frame(struct nd_line *line, uintptr_t address) {
    char name[128];
    struct nd_module module = {.base = 0};
    uintptr_t start = 0;
    bool has_module = nd_module_find(address - 1, &module);
    if (has_module && (nd_module_function(&module, address - 1, name, sizeof name, &start) ||
                       find_exported(address - 1, name, sizeof name, &start)))
        nd_line_put_escaped(line, name, strlen(name), sizeof name);
    else
        nd_line_put_char(line, '?');
    nd_line_put(line, "+0x");
    nd_line_put_hex(line, address - (start ? start : has_module ? module.base : 0));
    if (has_module && module.path[0])
        put_module(line, &module);
}

/* Appends the whole frame, or "..." where it does not fit; then returns false. */
static bool append_frame(struct nd_line *line, uintptr_t address, bool is_first) {
    static const char ellipsis[] = " ...";
    char text[320];
    struct nd_line frame;
    nd_line_start(&frame, text, sizeof text);
    nd_line_put(&frame, is_first ? "" : " ");
    put_frame(&frame, address);
    if (line->used + frame.used + sizeof ellipsis > line->size) {
        nd_line_put(line, ellipsis);
        return false;
    }
    nd_line_put(line, text);
    return true;
}

static void put_frames(struct nd_line *line, struct nd_unwinding *unwinding) {
    unw_cursor_t cursor;
    unw_word_t address;
    uintptr_t own_start, own_end;
    int frames = 0;
    own_range(&own_start, &own_end);
    if (nd_unwind_start(&cursor, unwinding) != 0)
        return;
    for (int step = 0; step < MOST_STEPS && frames < MOST_FRAMES && unw_step(&cursor) > 0; step++) {
        if (unw_get_reg(&cursor, UNW_REG_IP, &address) != 0 || address == 0)
            break;
        if (frames == 0 && address >= own_start && address < own_end)
            continue;
        if (!append_frame(line, (uintptr_t)address, frames == 0) || unw_is_signal_frame(&cursor) > 0)
            break;
        frames++;
    }
}

void nd_backtrace_put(struct nd_line *line) {
    struct nd_unwinding unwinding = {.next_block = 0};
    nd_context_note(&unwinding.context);
    put_frames(line, &unwinding);
}
