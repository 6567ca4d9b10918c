#include "cli/process/caller.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/process/array.h"
#include "cli/process/image.h"
#include "cli/process/memory.h"
#include "cli/process/processes.h"
#include "cli/process/return_address.h"

struct code {
    uint64_t start, end;
    enum { OTHER, C_LIBRARY, LIBRARY } of;
};

/* The sanitizers' runtimes stand between the library and the C library in a checked build. */
static bool is_c_library(const char *path) {
    static const char *const begins[] = {"libc.so", "libc-", "libpthread", "ld-musl", "[vdso]"};
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++)
        if (strncmp(name, begins[i], strlen(begins[i])) == 0)
            return true;
    return strstr(name, "san.so") != NULL;
}

static void add_code(struct code_map *map, const char *line) {
    struct code code = {.of = OTHER};
    char executable;
    int path = 0;
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*c%*c%c%*c %*s %*s %*s %n", &code.start, &code.end, &executable, &path) <
            3 ||
        executable != 'x' || !array_grow(&map->code, map->count, &map->room, sizeof code, 64))
        return;
    if (path && map->library && strcmp(line + path, map->library) == 0)
        code.of = LIBRARY;
    else if (path && is_c_library(line + path))
        code.of = C_LIBRARY;
    map->code[map->count++] = code;
}

void code_map_read(struct code_map *map, pid_t pid, const char *library) {
    *map = (struct code_map){.pid = pid, .is_64 = process_is_64(pid), .library = library};
    char name[64], *line = NULL;
    size_t room = 0;
    snprintf(name, sizeof name, "/proc/%d/maps", (int)map->pid);
    FILE *maps = fopen(name, "re");
    while (maps && getline(&line, &room, maps) > 0) {
        line[strcspn(line, "\n")] = '\0';
        add_code(map, line);
    }
    free(line);
    if (maps)
        fclose(maps);
}

void code_map_free(struct code_map *map) {
    free(map->code);
    *map = (struct code_map){0};
}

static const struct code *find_code(const struct code_map *map, uint64_t address) {
    for (size_t i = 0; i < map->count; i++)
        if (address >= map->code[i].start && address < map->code[i].end)
            return &map->code[i];
    return NULL;
}

bool code_map_is_c_library(const struct code_map *map, uint64_t address) {
    const struct code *code = find_code(map, address);
    return code && code->of == C_LIBRARY;
}

enum { MOST_WORDS = 256 };

/* Reads the stack from `at` on, as much as is there. Returns the count of words. */
static unsigned read_stack(const struct code_map *map, uint64_t at, uint64_t *words) {
    const size_t size = map->is_64 ? sizeof(uint64_t) : sizeof(uint32_t);
    unsigned count = MOST_WORDS;
    while (count && memory_read(map->pid, at, words, count * size) != 0)
        count /= 2;
    for (unsigned i = count; !map->is_64 && i-- > 0;) {
        uint32_t word;
        memcpy(&word, (const char *)words + i * sizeof word, sizeof word);
        words[i] = word;
    }
    return count;
}

/* Functions save registers, which may hold addresses of the program's functions. */
static bool is_return_address(const struct code_map *map, uint64_t address) {
    unsigned char before[RETURN_ADDRESS_BYTES] = {0};
    return memory_read(map->pid, address - sizeof before, before, sizeof before) != 0 ||
           return_address_follows_call(before);
}

uint64_t code_map_return_address(const struct code_map *map, uint64_t *stack) {
    uint64_t words[MOST_WORDS];
    const unsigned count = read_stack(map, *stack, words);
    for (unsigned i = 0; i < count; i++)
        if (find_code(map, words[i]) && is_return_address(map, words[i])) {
            *stack += (i + 1) * (map->is_64 ? sizeof(uint64_t) : sizeof(uint32_t));
            return words[i];
        }
    return 0;
}

/* The next return address into other code than the C library's; NULL: there is none. */
static const struct code *next_caller(const struct code_map *map, const uint64_t *words, unsigned count, unsigned *at) {
    for (; *at < count; ++*at) {
        const struct code *code = find_code(map, words[*at]);
        if (code && code->of != C_LIBRARY && is_return_address(map, words[*at]))
            return code;
    }
    return NULL;
}

/* Whether the word is not where the program has called from, but what the library keeps of that in a register, which
 * the C library's function has saved: the library's own frame follows, and the address itself behind it. */
static bool is_copy(const struct code_map *map, const uint64_t *words, unsigned count, unsigned at) {
    unsigned next = at + 1;
    const struct code *code = next_caller(map, words, count, &next);
    while (code && code->of == LIBRARY && ++next < count)
        if (words[next] == words[at])
            return true;
    return false;
}

struct caller caller_find(const struct code_map *map, uint64_t stack) {
    uint64_t words[MOST_WORDS];
    const unsigned count = read_stack(map, stack, words);
    struct caller caller = {UNKNOWN, 0};
    unsigned at = 0;
    const struct code *code = next_caller(map, words, count, &at);
    if (code && code->of != LIBRARY && is_copy(map, words, count, at)) {
        at++;
        code = next_caller(map, words, count, &at);
    }
    for (unsigned i = 0; i < at; i++)
        if (find_code(map, words[i]) && is_return_address(map, words[i]))
            caller.function = words[i];
    if (code)
        caller.by = code->of == LIBRARY ? THE_LIBRARY : THE_PROGRAM;
    return caller;
}

struct question {
    pid_t pid;
    enum nd_family family;
    uint64_t address;
};

static bool has_such_function(const struct image *image, void *arg) {
    const struct question *question = arg;
    for (int i = 0; is_c_library(image->path) && i < ND_OPERATIONS; i++)
        if (nd_operation_table[i].family == question->family &&
            image_symbol_has(question->pid, image, nd_operation_names[i], question->address))
            return true;
    return false;
}

bool caller_is_direct(const struct code_map *map, const struct caller *caller, const struct blocked_call *call) {
    if (!caller->function || call->operation == ND_OPERATION_NONE)
        return !caller->function;
    struct question question = {map->pid, nd_operation_table[call->operation].family, caller->function};
    return image_each(map->pid, has_such_function, &question) == 1;
}
