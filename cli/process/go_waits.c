#include "cli/process/go_waits.h"

#include <stdlib.h>
#include <string.h>

#include "cli/process/array.h"
#include "cli/process/descriptors.h"
#include "cli/process/go_map.h"
#include "cli/process/go_stack.h"
#include "cli/process/go_words.h"
#include "cli/process/memory.h"
#include "cli/process/processes.h"

enum {
    PROGRAMS = 16,
    OTHERS = 1024,
    LOOKS_TO_BE_SURE = 20,
    MOST_SETS = 4,
    MOST_FDS = 1 << 20,
    DESCRIPTOR_WORDS = 8,
    OBJECT_WORDS = 64,
    READERS = 16,
    HOLDERS = 8,
    MOST_WAITERS = 16
};

/* How a goroutine reads a connection. */
enum reader { READER_NONE, READER_CALL, READER_BACKGROUND, READER_HANDLER, READER_HTTP, READER_STREAMS };

/* The runtime's descriptor of a connection, and the goroutine that was found to wait by it. */
struct polled {
    uint64_t descriptor, goroutine, stack;
    enum reader reader;
    uint64_t holders[HOLDERS]; /* objects that have the connection; for READER_HTTP, the channel that tells its end */
    uint64_t writer;           /* of READER_HTTP: the goroutine that always waits there */
};

struct go_program {
    pid_t pid;
    struct process_identity identity;
    bool is_fresh; /* its sets have been read since the look began */
    int sets[MOST_SETS], set_count;
    struct go_names names;
    uint32_t *places; /* by descriptor: its place among `polled`, from 1 */
    size_t place_count;
    struct polled *polled;
    size_t count, room;
};

static struct go_program programs[PROGRAMS];
static unsigned next_program;

/* Processes that are no Go programs, as often as was looked: one that is just being loaded does not look like one. */
static struct {
    pid_t pid;
    unsigned looks;
    struct process_identity identity;
} others[OTHERS];

static bool is_same(const struct process_identity *a, const struct process_identity *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

static struct go_program *find_program(pid_t pid, const struct process_identity *identity) {
    for (int i = 0; i < PROGRAMS; i++)
        if (programs[i].pid == pid && is_same(&programs[i].identity, identity))
            return &programs[i];
    return NULL;
}

/* Takes the place of the one that was found first. */
static struct go_program *add_program(pid_t pid, const struct process_identity *identity) {
    static struct go_names names;
    if (!go_names_start(&names, pid))
        return NULL;
    struct go_program *program = &programs[next_program++ % PROGRAMS];
    free(program->places);
    free(program->polled);
    *program = (struct go_program){.pid = pid, .identity = *identity, .names = names};
    return program;
}

struct go_program *go_waits_look(pid_t pid) {
    const struct process_identity identity = process_identity(pid);
    const size_t place = (size_t)pid % OTHERS;
    const bool is_known = others[place].pid == pid && is_same(&others[place].identity, &identity);
    if (is_known && others[place].looks >= LOOKS_TO_BE_SURE)
        return NULL;
    struct go_program *program = find_program(pid, &identity);
    if (!program)
        program = add_program(pid, &identity);
    if (program) {
        program->is_fresh = false;
    } else {
        others[place].pid = pid;
        others[place].identity = identity;
        others[place].looks = is_known ? others[place].looks + 1 : 1;
    }
    return program;
}

/* What is known of the descriptor; NULL for nothing yet. */
static struct polled *polled_of(const struct go_program *program, int fd) {
    return (size_t)fd < program->place_count && program->places[fd] ? &program->polled[program->places[fd] - 1] : NULL;
}

static bool make_place(struct go_program *program, int fd) {
    const size_t count = ((size_t)fd / 1024 + 1) * 1024;
    if ((size_t)fd < program->place_count)
        return true;
    uint32_t *places = fd < MOST_FDS ? realloc(program->places, count * sizeof *places) : NULL;
    if (!places)
        return false;
    memset(places + program->place_count, 0, (count - program->place_count) * sizeof *places);
    program->places = places;
    program->place_count = count;
    return true;
}

static struct polled *add_polled(struct go_program *program, int fd) {
    struct polled *polled = polled_of(program, fd);
    if (polled)
        return polled;
    if (!make_place(program, fd) ||
        !array_grow(&program->polled, program->count, &program->room, sizeof *program->polled, 64))
        return NULL;
    program->places[fd] = (uint32_t)++program->count;
    program->polled[program->count - 1] = (struct polled){0};
    return &program->polled[program->count - 1];
}

/* Since Go 1.21 the address is in the upper bits of the data, above a count of the descriptor's uses. */
static uint64_t untagged(uint64_t data) {
    return (uint64_t)((int64_t)data >> 19) << 3;
}

static bool is_of(const struct go_program *program, uint64_t descriptor, int fd, uint64_t words[DESCRIPTOR_WORDS]) {
    return descriptor && memory_read(program->pid, descriptor, words, DESCRIPTOR_WORDS * sizeof *words) == 0 &&
           words[1] == (uint64_t)fd;
}

static void take_data(int fd, uint32_t events, uint64_t data, void *arg) {
    struct go_program *program = arg;
    uint64_t words[DESCRIPTOR_WORDS];
    struct polled *polled = fd >= 0 ? add_polled(program, fd) : NULL;
    (void)events;
    if (!polled || polled->descriptor == data || polled->descriptor == untagged(data))
        return;
    *polled = (struct polled){.descriptor = is_of(program, data, fd, words)             ? data
                                            : is_of(program, untagged(data), fd, words) ? untagged(data)
                                                                                        : 0};
}

static bool take_set(const struct process_descriptor *descriptor, void *arg) {
    struct go_program *program = arg;
    if (descriptor->kind == DESCRIPTOR_EPOLL_SET)
        program->sets[program->set_count++] = descriptor->fd;
    return program->set_count == MOST_SETS;
}

/* The runtime has one epoll set as long as it runs; libraries may have others. */
static void read_sets(struct go_program *program) {
    program->is_fresh = true;
    if (program->set_count == 0)
        descriptors_each(program->pid, NULL, take_set, program);
    for (int i = 0; i < program->set_count; i++)
        descriptors_in_epoll_set(program->pid, program->sets[i], take_data, program);
}

/* Finds the runtime's descriptor of the connection, and reads it. */
static struct polled *find(struct go_program *program, int fd, uint64_t words[DESCRIPTOR_WORDS]) {
    for (int turn = 0; turn < 2; turn++) {
        struct polled *polled = polled_of(program, fd);
        if (polled && is_of(program, polled->descriptor, fd, words))
            return polled;
        if (program->is_fresh)
            return NULL;
        read_sets(program);
    }
    return NULL;
}

/* The objects by which the calls on a stack reach the connection: the poller's, with its number and the runtime's
 * descriptor; net's, which begins with that; and those that have net's, or one of these, in an interface at their
 * beginning, as crypto/tls's, its readers and others' wrappers do. */
struct connection_objects {
    uint64_t poll, readers[READERS];
    size_t count; /* of readers: net's is the first */
};

/* Addresses on a goroutine's stack are of objects that its calls work with. */
static bool is_outside(const struct go_stack *stack, uint64_t address) {
    return go_is_address(address) && (address < stack->start || address >= stack->end);
}

static void find_objects(const struct go_program *program, const struct go_stack *stack, const struct polled *polled,
                         int fd, struct connection_objects *objects) {
    uint64_t words[5];
    *objects = (struct connection_objects){0};
    for (size_t i = 0; i < stack->count && objects->count < READERS; i++) {
        const uint64_t word = stack->words[i];
        if (!is_outside(stack, word) || go_has_word(objects->readers, objects->count, word) ||
            memory_read(program->pid, word, words, sizeof words) != 0)
            continue;
        if (words[2] == (uint64_t)fd && (words[3] == polled->descriptor || words[4] == polled->descriptor))
            objects->poll = word;
        else if (objects->count > 0 ? go_has_word(objects->readers, objects->count, words[1])
                                    : objects->poll && words[0] == objects->poll)
            objects->readers[objects->count++] = word;
    }
}

/* Adds wrappers that the calls do not work with themselves, but that objects of theirs refer to. */
static void find_wrappers(const struct go_program *program, const struct go_stack *stack,
                          struct connection_objects *objects) {
    enum { FIRST_WORDS = 16 };
    uint64_t words[FIRST_WORDS], wrapper[2];
    for (size_t i = 0; i < stack->count && objects->count > 0; i++) {
        if (!is_outside(stack, stack->words[i]) || go_has_word(objects->readers, objects->count, stack->words[i]) ||
            memory_read(program->pid, stack->words[i], words, sizeof words) != 0)
            continue;
        for (int j = 0; j < FIRST_WORDS && objects->count < READERS; j++)
            if (is_outside(stack, words[j]) && !go_has_word(objects->readers, objects->count, words[j]) &&
                memory_read(program->pid, words[j], wrapper, sizeof wrapper) == 0 &&
                go_has_word(objects->readers, objects->count, wrapper[1]))
                objects->readers[objects->count++] = words[j];
    }
}

static bool has_any(const uint64_t words[OBJECT_WORDS], const struct connection_objects *objects) {
    for (size_t i = 0; i < objects->count; i++)
        if (go_has_word(words, OBJECT_WORDS, objects->readers[i]))
            return true;
    return false;
}

/* Notes which objects that the reader works with have the connection. */
static void find_holders(const struct go_program *program, const struct go_stack *stack, struct polled *polled, int fd,
                         bool is_wrapped) {
    struct connection_objects objects;
    uint64_t words[OBJECT_WORDS];
    int count = 0;
    memset(polled->holders, 0, sizeof polled->holders);
    find_objects(program, stack, polled, fd, &objects);
    if (is_wrapped)
        find_wrappers(program, stack, &objects);
    for (size_t i = stack->reader_at; objects.count > 0 && i < stack->count && count < HOLDERS; i++) {
        const uint64_t word = stack->words[i];
        if (is_outside(stack, word) && word != objects.poll && !go_has_word(objects.readers, objects.count, word) &&
            !go_has_word(polled->holders, HOLDERS, word) && memory_read(program->pid, word, words, sizeof words) == 0 &&
            has_any(words, &objects))
            polled->holders[count++] = word;
    }
}

/* Reads the goroutines that wait to receive from a channel. */
static size_t read_waiters(const struct go_program *program, uint64_t channel, uint64_t waiters[MOST_WAITERS]) {
    /* a channel of nothing: no elements in it, and none wait to be sent; the list of those who wait has been moved once,
     * and where it begins now was a number before */
    enum { SIZE = 11, OLD_FIRST = 7, FIRST = 8 };
    uint64_t words[SIZE], waiter[2];
    size_t count = 0;
    if (!go_is_address(channel) || memory_read(program->pid, channel, words, sizeof words) != 0 || words[0] || words[1])
        return 0;
    uint64_t at = go_is_address(words[OLD_FIRST]) ? words[OLD_FIRST] : words[FIRST];
    while (count < MOST_WAITERS && go_is_address(at) && memory_read(program->pid, at, waiter, sizeof waiter) == 0) {
        waiters[count++] = waiter[0];
        at = waiter[1];
    }
    return count;
}

/* The channel of a connection of net/http's whose end its requests wait for, beside their answer: known by the
 * connection's writing goroutine, which always waits there, too. */
static void find_end_channel(struct go_program *program, struct polled *polled) {
    uint64_t words[OBJECT_WORDS], waiters[MOST_WAITERS];
    for (int i = 0; i < HOLDERS && !polled->writer; i++) {
        if (!polled->holders[i] || memory_read(program->pid, polled->holders[i], words, sizeof words) != 0)
            continue;
        for (int j = 0; j < OBJECT_WORDS && !polled->writer; j++)
            for (size_t k = read_waiters(program, words[j], waiters); k-- > 0 && !polled->writer;)
                if (go_stack_roles(&program->names, waiters[k]) & GO_HTTP_WRITER) {
                    polled->writer = waiters[k];
                    polled->holders[0] = words[j];
                }
    }
}

static enum reader reader_of(unsigned roles) {
    return !(roles & GO_READS)      ? READER_NONE
           : roles & GO_HANDLES     ? READER_HANDLER
           : roles & GO_BACKGROUND  ? READER_BACKGROUND
           : roles & GO_HTTP_READER ? READER_HTTP
           : roles & GO_STREAMS     ? READER_STREAMS
                                    : READER_CALL;
}

/* Finds how the goroutine reads the connection, unless that is known. */
static enum reader look_at(struct go_program *program, struct polled *polled, int fd, uint64_t goroutine) {
    static struct go_stack stack;
    const uint64_t pointer = go_stack_pointer(&program->names, goroutine);
    if (!pointer)
        return READER_NONE;
    if (polled->goroutine == goroutine && polled->stack == pointer)
        return polled->reader;
    if (!go_stack_read(&program->names, goroutine, &stack))
        return READER_NONE;
    const enum reader reader = reader_of(stack.roles);
    if (reader == READER_NONE)
        return READER_NONE;
    *polled = (struct polled){polled->descriptor, goroutine, stack.start, reader, {0}, 0};
    for (int turn = 0; turn < 2 && reader == READER_HTTP && !polled->writer; turn++) {
        find_holders(program, &stack, polled, fd, turn > 0);
        find_end_channel(program, polled);
    }
    if (reader == READER_STREAMS)
        find_holders(program, &stack, polled, fd, true);
    return reader;
}

static bool has_request(struct go_program *program, const struct polled *polled) {
    uint64_t waiters[MOST_WAITERS];
    if (!polled->writer)
        return false;
    for (size_t i = read_waiters(program, polled->holders[0], waiters); i-- > 0;)
        if (waiters[i] != polled->writer && go_stack_roles(&program->names, waiters[i]) & GO_HTTP_WAITER)
            return true;
    return false;
}

/* Whether there is a stream: a map has such as refer to the connection's object. */
static bool has_stream(const struct go_program *program, const struct polled *polled) {
    uint64_t words[OBJECT_WORDS];
    for (int i = 0; i < HOLDERS; i++) {
        if (!polled->holders[i] || memory_read(program->pid, polled->holders[i], words, sizeof words) != 0)
            continue;
        for (int j = 0; j < OBJECT_WORDS; j++)
            if (go_map_has_elements_of(program->pid, words[j], polled->holders[i]))
                return true;
    }
    return false;
}

bool go_waits_for_input(struct go_program *program, int fd) {
    uint64_t words[DESCRIPTOR_WORDS];
    struct polled *polled = fd >= 0 ? find(program, fd, words) : NULL;
    enum reader reader = READER_NONE;
    for (int i = 2; polled && i < DESCRIPTOR_WORDS && reader == READER_NONE; i++)
        if (go_is_address(words[i]))
            reader = look_at(program, polled, fd, words[i]);
    return reader == READER_CALL || (reader == READER_HTTP && has_request(program, polled)) ||
           (reader == READER_STREAMS && has_stream(program, polled));
}

bool go_ignores_input(struct go_program *program, int fd) {
    uint64_t words[DESCRIPTOR_WORDS];
    struct polled *polled = fd >= 0 ? find(program, fd, words) : NULL;
    for (int i = 2; polled && i < DESCRIPTOR_WORDS; i++)
        if (go_is_address(words[i]) && go_stack_pointer(&program->names, words[i]) &&
            look_at(program, polled, fd, words[i]) != READER_HANDLER)
            return false;
    return polled != NULL;
}
