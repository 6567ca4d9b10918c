/* `netdeadline end`: ends connections of a running process. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/block_error.h"
#include "cli/cli.h"
#include "cli/end_library.h"
#include "cli/options.h"
#include "cli/process/array.h"
#include "cli/process/connections_open.h"
#include "cli/process/ending.h"
#include "cli/process/input.h"
#include "cli/process/judge.h"
#include "cli/process/process_connections.h"
#include "cli/process/processes.h"
#include "cli/process/sockets.h"
#include "shim/report/format_peer.h"
#include "shim/settings/endpoint.h"
#include "shim/settings/setting_value.h"

static void print_help(FILE *to) {
    fprintf(to, "Usage: netdeadline end [--dry-run] PID FD|PEER\n"
                "       netdeadline end [--dry-run] --stuck [LIMIT TIME]... PID\n"
                "Ends TCP connections of a running process, with or without the library: by the number of their\n"
                "descriptor, by their peer (an address, ADDRESS:PORT or :PORT), or those that are stuck. Every thread\n"
                "that waits for one gets an error.\n\n"
                "Options:\n"
                "  --stuck            ends what the limits call overdue, at a single look\n"
                "  --connect TIME     connecting for longer [30s]\n"
                "  --recv TIME        a reply pending, and nothing moved, for longer [30s]\n"
                "  --unacked TIME     nothing acknowledged for longer [60s]\n"
                "  --inbound-recv TIME, --idle TIME, --inbound-idle TIME, --inbound-unacked TIME\n"
                "                     further limits [off; --inbound-unacked as --unacked]\n"
                "  --dry-run          tells what would be ended\n\n"
                "Listening and datagram sockets are refused.\n"
                "Exit status: 0 if what was asked for was ended; 1 if there was nothing to end; 2 for wrong usage;\n"
                "125 if the process may not be looked into or a connection could not be ended; 127 if there is no\n"
                "such process.\n");
}

enum { NOTHING_TO_END = 1, NO_FD = -1 };

/* What is asked for, and what has come of it. */
struct request {
    pid_t pid;
    int pidfd, netlink;
    bool dry_run, is_stuck;
    int fd; /* NO_FD: by peer, or what is stuck */
    struct nd_endpoint peer;
    struct nd_settings limits;
    unsigned ended, failed, found;
    unsigned connections;  /* that the process has */
    struct go_program *go; /* NULL: another */
    uint64_t seen[1024];   /* cookies of what was handled: a connection may have several descriptors */
    struct block block;    /* of the library, if it is at work there */
    bool has_library;
    struct outcome *outcomes;
    size_t outcome_count, outcome_room;
};

/* What has become of a connection, and the number under which the library was asked to report it (-1: it was not). */
struct outcome {
    char subject[512];
    enum ending ending;
    int error, number;
};

/* The library reports what was ended at the program's next call on it, or when a wait of such a call is woken. */
#define PATIENCE ND_SEC

static bool was_seen(struct request *request, uint64_t cookie) {
    unsigned count = request->found < 1024 ? request->found : 1024;
    for (unsigned i = 0; i < count; i++)
        if (request->seen[i] == cookie)
            return true;
    request->seen[request->found++ % 1024] = cookie;
    return false;
}

static bool is_meant(const struct request *request, const struct connection *connection, int fd,
                     struct verdict *verdict) {
    struct nd_endpoint_address address;
    struct judge judge;
    *verdict = (struct verdict){.limit = ND_LIMIT_NONE};
    if (request->is_stuck) {
        nd_time now = nd_now();
        judge_begin(&judge, connection, now);
        judge.is_only = request->connections <= 1 && !request->go;
        judge_receiving(&judge, request->go && go_waits_for_input(request->go, fd), judge.requested);
        if (!judge_decide(&judge, connection, &request->limits, now, verdict))
            return false;
        judge.is_ignored = judge_reply_pending(&judge, connection) >= 0 &&
                           input_of_program(request->go, fd, connection->inode) != INPUT_AWAITED;
        return !judge.is_ignored || judge_decide(&judge, connection, &request->limits, now, verdict);
    }
    if (request->fd != NO_FD)
        return fd == request->fd;
    return nd_endpoint_address_of((const struct sockaddr *)&connection->remote, sizeof connection->remote, &address) &&
           nd_endpoint_has_port(&request->peer, address.port) &&
           nd_endpoint_has_address(&request->peer, &address.address);
}

static const char *text_of(const struct request *request, const struct outcome *outcome) {
    const bool was_asked = outcome->number >= 0;
    if (was_asked && outcome->ending != ENDING_NONE && end_library_has_reported(&request->block, outcome->number))
        return "ended, and reported by the library: it sees 'connection timed out'";
    switch (outcome->ending) {
    case ENDING_DISCONNECTED:
    case ENDING_SHUT:
        if (was_asked)
            return "ended from outside: a call that waits sees an error, or end of file on kernels that refuse to "
                   "disconnect; the library reports it at the program's next call on it";
        return "ended: it sees 'connection reset by peer', a call that waits 'broken pipe'";
    case ENDING_DESTROYED:
        if (was_asked)
            return "ended from outside: a call that waits sees 'software caused connection abort'; the library reports "
                   "it at the program's next call on it";
        return "ended: it sees 'software caused connection abort' once, then end of file";
    default:
        return "not ended";
    }
}

static void describe(char out[512], const struct request *request, const struct connection *connection, int fd,
                     const struct verdict *verdict) {
    char text[256], program[64];
    struct nd_line line;
    process_name(request->pid, program, sizeof program);
    nd_line_start(&line, text, sizeof text);
    nd_format_put_peer(&line, (const struct sockaddr *)&connection->remote, sizeof connection->remote);
    if (verdict->limit) {
        nd_line_put(&line, ", ");
        nd_line_put(&line, judge_limit_name(verdict->limit));
        nd_line_put(&line, "=");
        nd_line_put_duration(&line, verdict->timeout);
        nd_line_put(&line, " after ");
        nd_line_put_seconds(&line, verdict->elapsed);
        nd_line_put(&line, "s");
    }
    snprintf(out, 512, "%d %s: fd %d, %s %s %s: ", (int)request->pid, program, fd, connection_state(connection->state),
             connection->is_inbound ? "from" : "to", text);
}

/* Ends what the copy is of, if it is still so that it is to be ended. */
static enum ending end_copy(const struct request *request, int copy, int fd, struct connection *connection,
                            int *number) {
    struct verdict verdict;
    input_look(request->pid);
    if (ending_refresh(copy, connection) != 0 || !is_meant(request, connection, fd, &verdict)) {
        errno = ESTALE;
        return ENDING_NONE;
    }
    if (!request->has_library)
        return ending_end(copy, request->netlink, connection);
    *number = end_library_ask(&request->block, connection, &verdict);
    block_leave_fast_paths(&request->block);
    return ending_end_marked(copy);
}

static enum ending end_connection(const struct request *request, int fd, const struct connection *connection,
                                  const struct verdict *verdict, int *number) {
    struct connection fresh = *connection;
    int copy = request->pidfd >= 0 ? ending_copy(request->pidfd, fd, connection->cookie) : -1;
    if (copy < 0 && request->pidfd >= 0 && (errno == ESTALE || errno == EBADF || errno == ESRCH))
        return ENDING_NONE;
    enum ending ending = copy >= 0
                             ? end_copy(request, copy, fd, &fresh, number)
                             : end_library_destroy(request->has_library ? &request->block : NULL, request->pid,
                                                   request->pidfd, fd, request->netlink, connection, verdict, number);
    int error = errno;
    if (copy >= 0)
        close(copy);
    errno = error;
    return ending;
}

static const char *reason(int error) {
    switch (error) {
    case ESTALE:
    case EBADF:
    case ENOENT:
        return "it is not so any more";
    case EPERM:
    case EACCES:
        return "that takes root, or the same user and ptrace permission (sysctl kernel.yama.ptrace_scope)";
    default:
        return strerror(error);
    }
}

static void print_outcome(const struct request *request, const struct outcome *outcome) {
    const bool is_none = outcome->ending == ENDING_NONE;
    printf("%s%s%s%s\n", outcome->subject, text_of(request, outcome), is_none ? ": " : "",
           is_none ? reason(outcome->error) : "");
}

static void consider(const struct connection *connection, int fd, void *arg) {
    struct request *request = arg;
    struct outcome outcome = {.number = -1};
    struct verdict verdict;
    if (!is_meant(request, connection, fd, &verdict) || was_seen(request, connection->cookie))
        return;
    describe(outcome.subject, request, connection, fd, &verdict);
    if (request->dry_run) {
        printf("%swould be ended\n", outcome.subject);
        request->ended++;
        return;
    }
    outcome.ending = end_connection(request, fd, connection, &verdict, &outcome.number);
    outcome.error = errno;
    request->ended += outcome.ending != ENDING_NONE;
    request->failed += outcome.ending == ENDING_NONE;
    if (array_grow(&request->outcomes, request->outcome_count, &request->outcome_room, sizeof outcome, 16))
        request->outcomes[request->outcome_count++] = outcome;
    else
        print_outcome(request, &outcome);
}

static bool are_all_reported(const struct request *request) {
    for (size_t i = 0; i < request->outcome_count; i++)
        if (request->outcomes[i].number >= 0 && !end_library_has_reported(&request->block, request->outcomes[i].number))
            return false;
    return true;
}

/* A call that was just recording something of its socket may have put it back on its fast path. */
static void print_outcomes(struct request *request) {
    const struct timespec pause = {0, 10 * ND_MSEC};
    const nd_time end = nd_now() + PATIENCE;
    for (; request->has_library && !are_all_reported(request) && nd_now() < end; nanosleep(&pause, NULL))
        block_leave_fast_paths(&request->block);
    for (size_t i = 0; i < request->outcome_count; i++)
        print_outcome(request, &request->outcomes[i]);
    free(request->outcomes);
}

/* Says what a descriptor is of which no connection was found. */
static void explain_none(const struct request *request) {
    struct socket_info info;
    if (request->fd == NO_FD)
        cli_warn("process %d has no such connection", (int)request->pid);
    else if (socket_look(request->pid, request->fd, &info) != 0)
        cli_warn("descriptor %d of process %d is no socket", request->fd, (int)request->pid);
    else
        cli_warn("descriptor %d of process %d is no TCP connection: %s", request->fd, (int)request->pid, info.peer);
}

static void count(const struct connection *connection, int fd, void *arg) {
    (void)connection;
    (void)fd;
    ((struct request *)arg)->connections++;
}

static int end(struct request *request) {
    int status = block_process_error(request->pid);
    if (status != CLI_OK)
        return status;
    request->pidfd = process_open(request->pid);
    request->go = go_waits_look(request->pid);
    input_look(request->pid);
    request->netlink = connections_open(request->pid);
    request->has_library = !request->dry_run && block_open(&request->block, request->pid, false) == BLOCK_FOUND;
    if (process_connections(request->pid, count, request) != 0 ||
        process_connections(request->pid, consider, request) != 0) {
        if (!process_exists(request->pid))
            return block_error(request->pid, BLOCK_GONE);
        cli_warn("may not see the connections of process %d: %s", (int)request->pid, strerror(errno));
        return CLI_FAILED;
    }
    print_outcomes(request);
    if (request->failed > 0)
        return CLI_FAILED;
    if (request->ended == 0 && request->is_stuck)
        cli_warn("of the %u TCP connections of process %d none is stuck by these limits", request->connections,
                 (int)request->pid);
    else if (request->ended == 0)
        explain_none(request);
    return request->ended > 0 ? CLI_OK : NOTHING_TO_END;
}

static int read_target(struct request *request, const char *text) {
    size_t digits = strspn(text, "0123456789");
    request->fd = NO_FD;
    if (digits > 0 && text[digits] == '\0') {
        unsigned long fd = strtoul(text, NULL, 10);
        if (digits > 9 || fd > INT_MAX)
            return cli_usage_error(&cli_end_command, "'%s' is no descriptor", text);
        request->fd = (int)fd;
        return CLI_OK;
    }
    const char *wrong = nd_endpoint_parse((struct nd_word){text, strlen(text)}, &request->peer);
    bool is_address = request->peer.kind == ND_ENDPOINT_ADDRESS || request->peer.kind == ND_ENDPOINT_ANY;
    if (wrong || !is_address)
        return cli_usage_error(&cli_end_command, "'%s' is neither a descriptor nor an address", text);
    return CLI_OK;
}

/* The limits that a single look can judge. */
static const char *const rules[] = {"connect",         "recv", "unacked",     "inbound-recv",
                                    "inbound-unacked", "idle", "inbound-idle"};
static const char *const names[] = {"CONNECT",         "RECV", "UNACKED",     "INBOUND_RECV",
                                    "INBOUND_UNACKED", "IDLE", "INBOUND_IDLE"};
enum { RULES = sizeof rules / sizeof rules[0], STUCK = CLI_FIRST_OPTION + RULES, DRY_RUN };

static int take_rule(struct request *request, int rule, const char *value) {
    const struct nd_setting *setting = nd_setting_find(names[rule], strlen(names[rule]));
    if (nd_setting_read(setting, value, &request->limits) == 0)
        return CLI_OK;
    return cli_usage_error(&cli_end_command, "--%s: '%s' is not %s", rules[rule], value,
                           nd_setting_expects(setting->kind));
}

/* Without a limit of the operator's the usual ones hold. */
static void default_rules(struct request *request) {
    take_rule(request, 0, "30s");
    take_rule(request, 1, "30s");
    take_rule(request, 2, "60s");
}

static int run(int argc, char **argv) {
    static struct option options[RULES + 4];
    static struct request request;
    bool has_rule = false;
    for (int i = 0; i < RULES; i++)
        options[i] = (struct option){rules[i], required_argument, NULL, CLI_FIRST_OPTION + i};
    options[RULES] = (struct option){"stuck", no_argument, NULL, STUCK};
    options[RULES + 1] = (struct option){"dry-run", no_argument, NULL, DRY_RUN};
    options[RULES + 2] = (struct option)CLI_HELP;
    for (int option; (option = cli_next_option(&cli_end_command, argc, argv, options)) >= 0;) {
        request.is_stuck |= option == STUCK;
        request.dry_run |= option == DRY_RUN;
        if (option >= STUCK)
            continue;
        has_rule = true;
        int status = take_rule(&request, option - CLI_FIRST_OPTION, optarg);
        if (status != CLI_OK)
            return status;
    }
    char *const *arguments = argv + optind;
    int count = argc - optind;
    request.pid = count > 0 ? process_parse(arguments[0]) : 0;
    if (!request.pid)
        return cli_usage_error(&cli_end_command, count > 0 ? "'%s' is no process ID" : "which process?",
                               count > 0 ? arguments[0] : "");
    if (request.is_stuck != (count == 1) || count > 2)
        return cli_usage_error(&cli_end_command, "a descriptor, a peer, or --stuck is needed");
    if (has_rule && !request.is_stuck)
        return cli_usage_error(&cli_end_command, "limits go with --stuck");
    if (!has_rule)
        default_rules(&request);
    request.fd = NO_FD;
    int status = request.is_stuck ? CLI_OK : read_target(&request, arguments[1]);
    return status == CLI_OK ? end(&request) : status;
}

const struct cli_command cli_end_command = {
    .name = "end",
    .summary = "ends connections of a running process",
    .run = run,
    .help = print_help,
};
