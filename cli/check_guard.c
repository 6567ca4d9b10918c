#include "cli/check_guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/process/connections_open.h"
#include "cli/process/ending.h"

/* Copies a descriptor of this very process. Returns 0, or the error. */
static int try_copying(void) {
    int pidfd = process_open(getpid());
    int copy = pidfd >= 0 ? ending_copy(pidfd, pidfd, 0) : -1;
    int error = copy >= 0 ? 0 : errno;
    if (copy >= 0)
        close(copy);
    if (pidfd >= 0)
        close(pidfd);
    return error;
}

/* Asks to end a connection that does not exist: from port 0 to port 0. ENOENT is the answer of a kernel that would have
 * ended it. */
static int try_destroying(int netlink) {
    struct connection none = {.state = TCP_ESTABLISHED, .cookie = UINT64_MAX};
    struct sockaddr_in *local = (struct sockaddr_in *)&none.local, *remote = (struct sockaddr_in *)&none.remote;
    local->sin_family = remote->sin_family = AF_INET;
    local->sin_addr.s_addr = remote->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connection_destroy(netlink, &none) == 0 || errno == ENOENT ? 0 : errno;
}

/* What Yama says: 0 all of the same user, 1 parents, 2 root, 3 nobody; 0 without Yama. */
static int yama_scope(void) {
    FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    int scope = 0;
    if (file && fscanf(file, "%d", &scope) != 1)
        scope = 0;
    if (file)
        fclose(file);
    return scope;
}

static void check_permission(struct findings *findings) {
    const int scope = yama_scope();
    if (scope >= 3)
        finding_note(findings, "guard may not copy descriptors here: kernel.yama.ptrace_scope is %d", scope);
    else if (geteuid() != 0 && scope > 0)
        finding_note(findings,
                     "guard reaches what 'netdeadline run' starts; other processes take root here "
                     "(kernel.yama.ptrace_scope is %d)",
                     scope);
    else if (geteuid() != 0)
        finding_note(findings, "guard reaches processes of this user; others take root");
}

void check_guard(struct findings *findings) {
    struct connection_list list = {0};
    int netlink = connections_open(getpid());
    bool sees = netlink >= 0 && connections_read(netlink, CONNECTIONS_CONNECTING, &list) == 0;
    int copying = try_copying(), destroying = sees ? try_destroying(netlink) : EOPNOTSUPP;
    connections_free(&list);
    if (netlink >= 0)
        close(netlink);
    if (!sees) {
        finding_note(findings, "'netdeadline guard' cannot see connections here: the kernel has no sock_diag");
        return;
    }
    if (copying == 0)
        finding_good(findings,
                     "'netdeadline guard', or 'run', bounds its connections from outside: CONNECT, UNACKED, RECV "
                     "(a reply that is pending), SEND, KEEPALIVE, IDLE, LIFETIME, MIN_RATE");
    else if (destroying == 0)
        finding_good(findings,
                     "'netdeadline guard' bounds its connections from outside; they end in an end of file, as this "
                     "kernel copies no descriptors (%s)",
                     strerror(copying));
    else
        finding_note(findings, "'netdeadline guard' sees its connections, but cannot end them here: %s",
                     strerror(copying));
    check_permission(findings);
}
