#include "cli/process/go_stack.h"

#include <string.h>

#include "cli/process/memory.h"

/* Functions by the end of their names: the path before may have a vendor's directory or a version in it. */
static const struct {
    const char *end;
    unsigned role;
} role_names[] = {
    {"internal/poll.(*FD).Read", GO_READS},
    {"internal/poll.(*FD).ReadMsg", GO_READS},
    {"internal/poll.(*FD).RawRead", GO_READS},
    {"internal/poll.spliceDrain", GO_READS}, /* io.Copy from one connection into another */
    {"os.(*File).spliceToFile", GO_READS},   /* and into a file, since Go 1.21 */
    {"net/http.(*persistConn).readLoop", GO_HTTP_READER},
    {"net/http.(*persistConn).writeLoop", GO_HTTP_WRITER},
    {"net/http.(*persistConn).roundTrip", GO_HTTP_WAITER},
    {"net/http.(*http2clientConnReadLoop).run", GO_STREAMS},
    {"/http2.(*clientConnReadLoop).run", GO_STREAMS},
    {"/transport.(*http2Client).reader", GO_STREAMS},
    {"net/http.(*connReader).backgroundRead", GO_BACKGROUND | GO_HANDLES},
    {"net/http.(*http2serverConn).readFrames", GO_BACKGROUND},
    {"/http2.(*serverConn).readFrames", GO_BACKGROUND},
    {"/transport.(*http2Server).HandleStreams", GO_BACKGROUND},
    {"net/rpc.(*Client).input", GO_BACKGROUND},
    {"net/rpc.(*Server).ServeCodec", GO_BACKGROUND},
    {"/pq.(*ListenerConn).listenerConnLoop", GO_BACKGROUND},
    {"/amqp.(*Connection).reader", GO_BACKGROUND},
    {"/amqp091-go.(*Connection).reader", GO_BACKGROUND},
    {"/nats%2ego.(*Conn).readLoop", GO_BACKGROUND},
    {"/nats.(*Conn).readLoop", GO_BACKGROUND},
    {"/yamux.(*Session).recvLoop", GO_BACKGROUND},
    {"/ssh.(*handshakeTransport).readLoop", GO_BACKGROUND},
};

bool go_names_start(struct go_names *names, pid_t pid) {
    memset(names, 0, sizeof *names);
    return go_functions_find(&names->functions, pid);
}

static unsigned find_roles(const struct go_functions *functions, uint64_t address) {
    char name[256];
    if (!go_function_name(functions, address, name, sizeof name))
        return 0;
    const size_t length = strlen(name);
    for (size_t i = 0; i < sizeof role_names / sizeof role_names[0]; i++) {
        const size_t end = strlen(role_names[i].end);
        if (length >= end && strcmp(name + length - end, role_names[i].end) == 0)
            return role_names[i].role;
    }
    return 0;
}

static unsigned roles_at(struct go_names *names, uint64_t address) {
    const size_t at = (size_t)(address * 0x9e3779b97f4a7c15U >> 40) % GO_KNOWN_ADDRESSES;
    if (names->known[at].address != address) {
        names->known[at].roles = find_roles(&names->functions, address);
        names->known[at].address = address;
    }
    return names->known[at].roles;
}

/* How a goroutine begins: its stack's bounds; and what it goes on with once it is woken, which has the goroutine's own
 * address in it. One word before the frame pointer has gone with Go 1.25. */
enum { LOW, HIGH, POINTER = 7, ADDRESS, SELF, FRAME_SINCE_1_25 = 12, FRAME, GOROUTINE_WORDS };

static bool read_goroutine(const struct go_names *names, uint64_t goroutine, uint64_t words[GOROUTINE_WORDS]) {
    return memory_read(names->functions.pid, goroutine, words, GOROUTINE_WORDS * sizeof *words) == 0 &&
           words[SELF] == goroutine && words[LOW] < words[POINTER] && words[POINTER] < words[HIGH] &&
           words[POINTER] % sizeof *words == 0;
}

uint64_t go_stack_pointer(const struct go_names *names, uint64_t goroutine) {
    uint64_t words[GOROUTINE_WORDS];
    return read_goroutine(names, goroutine, words) ? words[POINTER] : 0;
}

/* A frame pointer points to the one before; the return address is behind it, and then the caller's frame. */
static void walk(struct go_names *names, struct go_stack *stack, uint64_t frame) {
    stack->reader_at = stack->count;
    while (frame >= stack->start && frame < stack->end && frame % sizeof frame == 0) {
        const size_t at = (size_t)(frame - stack->start) / sizeof frame;
        if (at + 1 >= stack->count)
            break;
        const unsigned roles = roles_at(names, stack->words[at + 1] - 1);
        if (roles & (GO_HTTP_READER | GO_STREAMS))
            stack->reader_at = at + 2;
        stack->roles |= roles;
        if (stack->words[at] <= frame)
            break;
        frame = stack->words[at];
    }
}

bool go_stack_read(struct go_names *names, uint64_t goroutine, struct go_stack *stack) {
    uint64_t words[GOROUTINE_WORDS];
    if (!read_goroutine(names, goroutine, words))
        return false;
    stack->start = words[POINTER];
    stack->end = words[HIGH];
    stack->count = (size_t)(stack->end - stack->start) / sizeof words[0];
    if (stack->count > GO_STACK_WORDS)
        stack->count = GO_STACK_WORDS;
    if (memory_read(names->functions.pid, stack->start, stack->words, stack->count * sizeof words[0]) != 0)
        return false;
    const bool is_old = words[FRAME] > stack->start && words[FRAME] < stack->end;
    stack->roles = roles_at(names, words[ADDRESS]);
    walk(names, stack, words[is_old ? FRAME : FRAME_SINCE_1_25]);
    return true;
}

unsigned go_stack_roles(struct go_names *names, uint64_t goroutine) {
    static struct go_stack stack;
    return go_stack_read(names, goroutine, &stack) ? stack.roles : 0;
}
