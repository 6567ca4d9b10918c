/* The stacks of goroutines that are parked. */
#pragma once

#include "cli/process/go_functions.h"

/* What functions on a stack say of it. */
enum go_role {
    GO_READS = 1 << 0,       /* it reads a descriptor */
    GO_BACKGROUND = 1 << 1,  /* it does so as long as the connection stands */
    GO_HTTP_READER = 1 << 2, /* so do net/http's clients: one goroutine reads, */
    GO_HTTP_WRITER = 1 << 3, /* one writes, */
    GO_HTTP_WAITER = 1 << 4, /* and another waits for each request's answer */
    GO_STREAMS = 1 << 5,     /* reads for the streams of an HTTP/2 client */
    GO_HANDLES = 1 << 6      /* learns whether the client goes away while net/http's server works for it */
};

enum { GO_KNOWN_ADDRESSES = 2048 };

/* A program's functions, and the roles of those that were met: by return address, in a hash table. */
struct go_names {
    struct go_functions functions;
    struct {
        uint64_t address;
        unsigned roles;
    } known[GO_KNOWN_ADDRESSES];
};

enum { GO_STACK_WORDS = 1024 };

struct go_stack {
    uint64_t start, end; /* the part that is in use */
    uint64_t words[GO_STACK_WORDS];
    size_t count,
        reader_at; /* the frame of the function that reads as long as the connection stands; and its callers' */
    unsigned roles;
};

/* Returns false where the process is no Go program that can be read. */
bool go_names_start(struct go_names *names, pid_t pid);

/* Where the goroutine's stack pointer was left; 0 where there is no goroutine, or it does not look like one. */
uint64_t go_stack_pointer(const struct go_names *names, uint64_t goroutine);

/* Reads a goroutine's stack and what its functions say. False where it cannot be read. */
bool go_stack_read(struct go_names *names, uint64_t goroutine, struct go_stack *stack);

/* The same for what its functions say alone; 0 where it cannot be read. */
unsigned go_stack_roles(struct go_names *names, uint64_t goroutine);
