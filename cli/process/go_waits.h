/* Which connections goroutines of a Go program wait for input of. A goroutine that waits is in no system call: the
 * runtime's poller knows it, by a descriptor of its own that the epoll set has as the connection's data. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct go_program;

/* Begins to look at the process. NULL where it is no Go program that can be read (Go 1.18 or later, of 64 bits). What is
 * returned holds until the next call. */
struct go_program *go_waits_look(pid_t pid);

/* Whether a goroutine reads from the descriptor and is blocked in that, because its program waits for bytes now. Those
 * that read a connection as long as it stands, whether anybody has asked for something or not, count only while they
 * owe an answer: net/http's clients by their requests, HTTP/2 and gRPC by their streams; other libraries' never do. */
bool go_waits_for_input(struct go_program *program, int fd);

/* Whether nobody wants what may come: no goroutine is blocked on the descriptor, or only the one that learns whether the
 * client goes away while net/http's server works for it. False where that is not known. */
bool go_ignores_input(struct go_program *program, int fd);
