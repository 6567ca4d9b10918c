#include "cli/process/python.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/line.h"
#include "cli/process/array.h"
#include "cli/process/image.h"
#include "cli/process/memory.h"
#include "cli/process/processes.h"
#include "cli/process/python_lines.h"

enum {
    MOST_FRAMES = 128,
    MOST_STEPS = 1024,
    MOST_THREADS = 16384,
    MOST_INTERPRETERS = 64,
    MOST_TEXT = 512,
    MOST_LINES = 1 << 16
};

struct python_thread {
    uint64_t state;
    pid_t number;
};

/* What is known of the interpreter in a process. */
static struct interpreter {
    pid_t pid;
    struct process_identity identity;
    uint64_t runtime, code_type;
    struct python_layout layout;
    const char *why_not; /* NULL: its frames can be read */
    bool is_expected;    /* it is a program whose frames one would look for */
    uint32_t number_at;  /* behind a pthread_t, where threads do not know their number; 0: not found yet */
    struct python_thread *threads;
    size_t thread_count, thread_room;
} known;

static uint64_t read_word(pid_t pid, uint64_t address) {
    uint64_t word = 0;
    return memory_read(pid, address, &word, sizeof word) == 0 ? word : 0;
}

/* Which version it is. Before 3.11 it says so in functions only, which have come with a version. */
static unsigned find_minor(pid_t pid, const struct image *image) {
    const uint64_t version = image_symbol(pid, image, "Py_Version");
    uint32_t number = 0;
    if (version)
        return memory_read(pid, version, &number, sizeof number) == 0 && number >> 24 == 3 ? number >> 16 & 0xff : 0;
    if (image_symbol(pid, image, "Py_NewRef"))
        return 10;
    return image_symbol(pid, image, "PyModule_AddType") ? 9 : 8;
}

static const char *find_layout(struct interpreter *python, unsigned minor) {
    uint64_t told[PYTHON_TOLD_WORDS];
    const struct python_layout *layout = python_layout_of(minor);
    if (layout)
        python->layout = *layout;
    else if (minor != 13)
        return "they are read of Python 3.9 to 3.13";
    else if (memory_read(python->pid, python->runtime, told, sizeof told) != 0 ||
             !python_layout_told(told, &python->layout))
        return "this build of Python 3.13 has other structures";
    return NULL;
}

/* The interpreter is the executable or a library, by whatever name. */
static bool look_at_image(const struct image *image, void *arg) {
    struct interpreter *python = arg;
    python->runtime = image_symbol(python->pid, image, "_PyRuntime");
    if (!python->runtime)
        return false;
    python->is_expected = true;
    python->code_type = image_symbol(python->pid, image, "PyCode_Type");
    python->why_not = python->code_type ? find_layout(python, find_minor(python->pid, image)) : "it is stripped";
    return true;
}

static bool is_one_of(const char *name, const char *const *names) {
    for (; *names; names++) {
        size_t length = strlen(*names);
        if (strncmp(name, *names, length) == 0 && (!name[length] || isdigit((unsigned char)name[length])))
            return true;
    }
    return false;
}

/* Of other languages' programs it is said that only the stack of the interpreter can be seen. */
static bool look_for_others(const struct image *image, void *arg) {
    static const char *const names[] = {"perl", "ruby", "python", "pypy", NULL};
    struct interpreter *python = arg;
    const char *base = strrchr(image->path, '/');
    if (base && is_one_of(base + 1, names)) {
        python->is_expected = true;
        python->why_not = strncmp(base + 1, "p", 1) == 0 && base[2] == 'y'
                              ? "it is another Python than CPython 3.9 to 3.13"
                          : base[1] == 'r' ? "Ruby's are not read"
                                           : "Perl's are not read";
    }
    return true; /* the first object is the executable */
}

static struct interpreter *find_interpreter(pid_t pid) {
    const struct process_identity identity = process_identity(pid);
    if (known.pid == pid && memcmp(&known.identity, &identity, sizeof identity) == 0)
        return &known;
    free(known.threads);
    known = (struct interpreter){.pid = pid, .identity = identity};
    if (sizeof(void *) != 8 || !process_is_64(pid))
        known.why_not = "they are read of 64-bit programs only";
    else if (image_each(pid, look_at_image, &known) == 0)
        image_each(pid, look_for_others, &known);
    return &known;
}

/* Calls visit(state, arg) for each thread's state until it returns true. Each knows its interpreter, which shows that
 * these are the structures they are taken for. */
static void each_state(const struct interpreter *python, bool (*visit)(uint64_t state, void *arg), void *arg) {
    const struct python_layout *layout = &python->layout;
    uint64_t interpreter = read_word(python->pid, python->runtime + layout->interpreters);
    for (int i = 0, threads = 0; interpreter && i < MOST_INTERPRETERS; i++) {
        uint64_t state = read_word(python->pid, interpreter + layout->threads);
        while (state && threads++ < MOST_THREADS) {
            if (read_word(python->pid, state + layout->interpreter) != interpreter || visit(state, arg))
                return;
            state = read_word(python->pid, state + layout->next_thread);
        }
        interpreter = read_word(python->pid, interpreter + layout->next_interpreter);
    }
}

/* Where libc keeps a thread's number, near the beginning of what its pthread_t points to: 0 where that is not known. It
 * is looked for in the thread that is asked for. */
struct number_search {
    const struct interpreter *python;
    pid_t inner;
    uint32_t found;
};

static bool look_for_number(uint64_t state, void *arg) {
    struct number_search *search = arg;
    int32_t words[256];
    const uint64_t pthread = read_word(search->python->pid, state + search->python->layout.pthread);
    if (memory_read(search->python->pid, pthread, words, sizeof words) != 0)
        return false;
    for (uint32_t i = 1; i < sizeof words / sizeof words[0] && !search->found; i++)
        if (words[i] == search->inner)
            search->found = i * (uint32_t)sizeof words[0];
    return search->found != 0;
}

/* The number of the thread with this state, in the process's own PID namespace. */
static pid_t number_of(const struct interpreter *python, uint64_t state) {
    int32_t number = 0;
    uint64_t at = state + python->layout.kernel_thread;
    if (!python->layout.kernel_thread)
        at = read_word(python->pid, state + python->layout.pthread) + python->number_at;
    return memory_read(python->pid, at, &number, sizeof number) == 0 ? number : 0;
}

static bool add_state(uint64_t state, void *arg) {
    struct interpreter *python = arg;
    if (!array_grow(&python->threads, python->thread_count, &python->thread_room, sizeof *python->threads, 16))
        return true;
    python->threads[python->thread_count++] = (struct python_thread){state, number_of(python, state)};
    return false;
}

/* Finds the thread's state. They are listed once, since there may be thousands; one that has ended since is seen by its
 * number. */
static uint64_t find_thread(struct interpreter *python, pid_t inner) {
    if (!python->layout.kernel_thread && !python->number_at) {
        struct number_search search = {python, inner, 0};
        each_state(python, look_for_number, &search);
        python->number_at = search.found;
        if (!search.found)
            return 0;
    }
    if (python->thread_count == 0)
        each_state(python, add_state, python);
    for (size_t i = 0; i < python->thread_count; i++)
        if (python->threads[i].number == inner && number_of(python, python->threads[i].state) == inner)
            return python->threads[i].state;
    return 0;
}

static size_t put_utf8(char *out, uint32_t character) {
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    if (character < 0x800) {
        out[0] = (char)(0xc0 | character >> 6);
        out[1] = (char)(0x80 | (character & 0x3f));
        return 2;
    }
    if (character < 0x10000) {
        out[0] = (char)(0xe0 | character >> 12);
        out[1] = (char)(0x80 | (character >> 6 & 0x3f));
        out[2] = (char)(0x80 | (character & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | (character >> 18 & 7));
    out[1] = (char)(0x80 | (character >> 12 & 0x3f));
    out[2] = (char)(0x80 | (character >> 6 & 0x3f));
    out[3] = (char)(0x80 | (character & 0x3f));
    return 4;
}

/* Appends a text object, escaped. Long ones lose their beginning, of a path the less telling part. */
static void put_text(struct nd_line *line, const struct interpreter *python, uint64_t object) {
    struct {
        uint64_t count, type, length, hash;
        uint32_t state;
    } head;
    unsigned char raw[MOST_TEXT * 4];
    char text[MOST_TEXT * 4 + 1];
    size_t used = 0;
    if (memory_read(python->pid, object, &head, sizeof head) != 0)
        return;
    const uint32_t kind = head.state >> 2 & 7; /* bytes of a character */
    const bool is_compact = head.state >> 5 & 1, is_ascii = head.state >> 6 & 1;
    const uint32_t before = is_ascii ? python->layout.ascii_size : python->layout.compact_size;
    const size_t length = head.length < MOST_TEXT ? (size_t)head.length : MOST_TEXT;
    if (!is_compact || (kind != 1 && kind != 2 && kind != 4) ||
        memory_read(python->pid, object + before + (head.length - length) * kind, raw, length * kind) != 0)
        return;
    for (size_t i = 0; i < length; i++) {
        uint32_t character = 0;
        memcpy(&character, raw + i * kind, kind);
        used += put_utf8(text + used, character);
    }
    if (length < head.length)
        nd_line_put(line, "...");
    nd_line_put_escaped(line, text, used, 400);
}

/* How far into its code the frame is, in bytes. */
static size_t find_offset(const struct interpreter *python, uint64_t frame, uint64_t code) {
    const struct python_layout *layout = &python->layout;
    int32_t index = 0;
    if (layout->bytecode)
        return (size_t)(read_word(python->pid, frame + layout->instruction) - (code + layout->bytecode));
    if (memory_read(python->pid, frame + layout->instruction, &index, sizeof index) != 0 || index < 0)
        return 0;
    return (size_t)index * layout->instruction_size;
}

static unsigned find_line(const struct interpreter *python, uint64_t frame, uint64_t code) {
    enum { SIZE = 16, BYTES = 32 }; /* of a bytes object: its length, and where they begin */
    int32_t first = 0;
    const uint64_t table = read_word(python->pid, code + python->layout.lines);
    const uint64_t told = read_word(python->pid, table + SIZE);
    const size_t size = told <= MOST_LINES ? (size_t)told : 0;
    unsigned line = 0;
    if (memory_read(python->pid, code + python->layout.first_line, &first, sizeof first) != 0 || first < 0 || !size)
        return 0;
    unsigned char *bytes = malloc(size);
    if (bytes && memory_read(python->pid, table + BYTES, bytes, size) == 0)
        line = python_line_at(python->layout.how_lines, bytes, size, (unsigned)first, find_offset(python, frame, code));
    free(bytes);
    return line;
}

static void print_frame(const struct interpreter *python, uint64_t frame, uint64_t code, FILE *to) {
    char text[1024];
    struct nd_line line;
    const unsigned number = find_line(python, frame, code);
    nd_line_start(&line, text, sizeof text);
    put_text(&line, python, read_word(python->pid, code + python->layout.name));
    nd_line_put(&line, " (");
    put_text(&line, python, read_word(python->pid, code + python->layout.file));
    if (number) {
        nd_line_put_char(&line, ':');
        nd_line_put_number(&line, number, 1);
    }
    fprintf(to, "        Python: %s)\n", text);
}

/* A frame of C, between Python's, has no code that could be shown. */
static bool is_shown(const struct interpreter *python, uint64_t frame, uint64_t code) {
    uint8_t owner = 0;
    if (python->layout.owner)
        memory_read(python->pid, frame + python->layout.owner, &owner, sizeof owner);
    return owner != PYTHON_OWNER_C && read_word(python->pid, code + 8) == python->code_type;
}

static int print_frames(const struct interpreter *python, uint64_t state, FILE *to) {
    const struct python_layout *layout = &python->layout;
    uint64_t frame = read_word(python->pid, state + layout->frame);
    int printed = 0;
    if (frame && layout->held_frame >= 0)
        frame = read_word(python->pid, frame + (uint64_t)layout->held_frame);
    for (int step = 0; frame && printed < MOST_FRAMES && step < MOST_STEPS; step++) {
        const uint64_t code = read_word(python->pid, frame + layout->code);
        if (is_shown(python, frame, code)) {
            print_frame(python, frame, code, to);
            printed++;
        }
        frame = read_word(python->pid, frame + layout->previous);
    }
    return printed;
}

void python_prepare(pid_t pid, pid_t tid) {
    struct interpreter *python = find_interpreter(pid);
    if (python->is_expected && !python->why_not)
        find_thread(python, process_inner_tid(pid, tid));
}

void python_print(pid_t pid, pid_t tid, FILE *to) {
    struct interpreter *python = find_interpreter(pid);
    if (!python->is_expected)
        return;
    if (python->why_not) {
        fprintf(to, "        (no frames of the program's own language: %s)\n", python->why_not);
        return;
    }
    const uint64_t state = find_thread(python, process_inner_tid(pid, tid));
    if (!state || print_frames(python, state, to) == 0)
        fprintf(to, "        (no frames in Python: the thread runs none)\n");
}
