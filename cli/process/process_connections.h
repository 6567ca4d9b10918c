/* The connections of single processes, and what troubles them. */
#pragma once

#include "cli/process/connections.h"
#include "cli/process/go_waits.h"

/* What one look tells of a connection. Times are in ns; -1 where it is not so. */
struct connection_trouble {
    nd_time connecting;    /* since its first SYN */
    nd_time reply_pending; /* since the last bytes went out, of which no answer has come; or came in, for goroutines */
    nd_time unacked;       /* at least for so long something sent is not acknowledged */
    nd_time stalled;       /* since data last went out of a send buffer that is full */
};

/* `go` is the program that has the connection by the descriptor, if it is one in Go, or NULL. */
void connection_trouble(const struct connection *connection, struct go_program *go, int fd,
                        struct connection_trouble *trouble);

/* Calls visit(connection, fd, arg) for each connection that a descriptor of the process is of. The lists of the
 * kernel's are read once for each network namespace. Returns 0, or -1 and errno where they or the descriptors may not
 * be seen. */
int process_connections(pid_t pid, void (*visit)(const struct connection *connection, int fd, void *arg), void *arg);

/* Finds the connection that a descriptor of the process is of, as it is now if nothing has moved on it since the lists
 * were read. Returns false where it is none, or may not be seen. */
bool process_connection(pid_t pid, int fd, struct connection *connection);

/* Forgets the lists that were read. */
void process_connections_forget(void);

/* "established", "syn-sent" ...: as ss(8) names the states. */
const char *connection_state(uint8_t state);
