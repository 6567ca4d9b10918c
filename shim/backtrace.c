#include "shim/backtrace.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

#include "shim/unwind.h"

enum { MOST_FRAMES = 32, MOST_STEPS = 64 };

/* Made by the linker: the ELF header of the file that this code is in. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

/* The addresses of this library; empty where it is linked into a program (the tests), whose frames are not ours alone. */
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

/* libunwind takes the nearest symbol before the address: in a stripped file that can be another function's. Only a name
 * that starts where the unwind table says the function starts is the right one. */
static bool find_name(unw_cursor_t *cursor, uintptr_t address, char *name, size_t size, unw_word_t *offset) {
    unw_proc_info_t function;
    int error = unw_get_proc_name(cursor, name, size, offset);
    if (error != 0 && error != -UNW_ENOMEM)
        return false;
    return unw_get_proc_info(cursor, &function) == 0 && function.start_ip == address - *offset;
}

/* libunwind sees the static functions too, but reads the file for it; where it cannot (chroot), the loader knows the
 * exported ones. */
static void put_frame(struct nd_line *line, unw_cursor_t *cursor, uintptr_t address) {
    char name[128];
    unw_word_t offset = 0;
    Dl_info info = {0};
    bool has_module = dladdr((void *)address, &info) != 0 && info.dli_fname;
    if (find_name(cursor, address, name, sizeof name, &offset)) {
        nd_line_put_escaped(line, name, strnlen(name, sizeof name), sizeof name);
    } else if (has_module && info.dli_sname) {
        nd_line_put_escaped(line, info.dli_sname, strlen(info.dli_sname), sizeof name);
        offset = address - (uintptr_t)info.dli_saddr;
    } else {
        nd_line_put_char(line, '?');
        offset = has_module ? address - (uintptr_t)info.dli_fbase : address;
    }
    nd_line_put(line, "+0x");
    nd_line_put_hex(line, offset);
    if (!has_module)
        return;
    nd_line_put_char(line, '@');
    nd_line_put_escaped(line, file_part(info.dli_fname), strlen(file_part(info.dli_fname)), 64);
}

/* Appends the frame whole, or "..." where it does not fit. */
static bool append_frame(struct nd_line *line, unw_cursor_t *cursor, uintptr_t address, bool is_first) {
    static const char no_room[] = " ...";
    char text[320];
    struct nd_line frame;
    nd_line_start(&frame, text, sizeof text);
    nd_line_put(&frame, is_first ? "" : " ");
    put_frame(&frame, cursor, address);
    if (line->used + frame.used + sizeof no_room > line->size) {
        nd_line_put(line, no_room);
        return false;
    }
    nd_line_put(line, text);
    return true;
}

void nd_backtrace_put(struct nd_line *line) {
    unw_context_t context;
    unw_cursor_t cursor;
    unw_word_t address;
    uintptr_t own_start, own_end;
    int frames = 0;
    own_range(&own_start, &own_end);
    if (!unw_step || unw_getcontext(&context) != 0 || unw_init_local(&cursor, &context) != 0)
        return;
    for (int step = 0; step < MOST_STEPS && frames < MOST_FRAMES && unw_step(&cursor) > 0; step++) {
        if (unw_get_reg(&cursor, UNW_REG_IP, &address) != 0 || address == 0)
            break;
        if (frames == 0 && address >= own_start && address < own_end)
            continue;
        if (!append_frame(line, &cursor, (uintptr_t)address, frames == 0) || unw_is_signal_frame(&cursor) > 0)
            break;
        frames++;
    }
}
