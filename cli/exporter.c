/* `netdeadline exporter`: keeps what processes under the library have counted beyond their end, and shows it to
 * Prometheus. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/http.h"
#include "cli/metrics.h"
#include "shim/settings/duration.h"

#define DEFAULT_LISTEN "127.0.0.1:9797"
#define DEFAULT_INTERVAL (5 * ND_SEC)

/* Who asks again within this time gets the last answer, and a look takes at most this part of a processor. */
#define FRESH ND_SEC
#define SHARE_OF_PROCESSOR 20

static void print_help(FILE *to) {
    fprintf(to,
            "Usage: netdeadline exporter [--listen WHERE] [--textfile FILE] [--interval TIME] [--by-pid]\n"
            "Looks at all processes under the library, and shows what they have counted as Prometheus reads it, by\n"
            "program and systemd service. Counts stay when their process has ended, as far as it was seen.\n\n"
            "Options:\n"
            "  --listen WHERE   serves http://WHERE/metrics: ADDRESS:PORT, PORT (of 127.0.0.1) or unix:PATH\n"
            "                   [" DEFAULT_LISTEN ", or with --textfile nowhere]\n"
            "  --textfile FILE  writes FILE after each look, for node-exporter's textfile collector\n"
            "  --interval TIME  looks so often [5s], and when it is asked\n"
            "  --by-pid         makes series of each process, which end with it\n\n"
            "Processes of other users are shown to root only.\n"
            "Exit status: 0 by SIGINT or SIGTERM; 2 for wrong usage, 125 if it cannot listen there.\n");
}

struct exporter {
    struct metrics metrics;
    struct http http;
    const char *textfile;
    nd_time interval, looked, next, took;
    uint64_t looks;
    unsigned denied;
    bool has_warned;
};

static volatile sig_atomic_t is_stopped;

static void stop(int number) {
    (void)number;
    is_stopped = 1;
}

static void collect_one(pid_t pid, void *arg) {
    statistics_collect(arg, pid, false);
}

static nd_time spent(void) {
    struct timespec time;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 ? time.tv_sec * ND_SEC + time.tv_nsec : 0;
}

static void look(struct exporter *exporter) {
    const nd_time began = spent();
    struct statistics statistics = {0};
    process_each(collect_one, &statistics);
    statistics_look_at_connections(&statistics);
    metrics_take(&exporter->metrics, &statistics);
    exporter->denied = statistics.denied;
    statistics_free(&statistics);
    exporter->looked = nd_now();
    exporter->took = spent() - began;
    exporter->looks++;
    nd_time pace = exporter->took * SHARE_OF_PROCESSOR;
    exporter->next = exporter->looked + (pace > exporter->interval ? pace : exporter->interval);
}

static void print_own(FILE *to, const struct exporter *exporter) {
    fprintf(to,
            "# HELP netdeadline_exporter_looks_total How often the exporter has looked at all processes.\n"
            "# TYPE netdeadline_exporter_looks_total counter\nnetdeadline_exporter_looks_total %" PRIu64 "\n"
            "# HELP netdeadline_exporter_look_seconds Processor time of the last look.\n"
            "# TYPE netdeadline_exporter_look_seconds gauge\nnetdeadline_exporter_look_seconds %.6f\n"
            "# HELP netdeadline_exporter_denied_processes Processes that the exporter may not look into.\n"
            "# TYPE netdeadline_exporter_denied_processes gauge\nnetdeadline_exporter_denied_processes %u\n",
            exporter->looks, (double)exporter->took / ND_SEC, exporter->denied);
}

static void print_all(FILE *to, const struct exporter *exporter) {
    metrics_print(&exporter->metrics, to);
    print_own(to, exporter);
}

static char *make_page(size_t *size, void *arg) {
    struct exporter *exporter = arg;
    const nd_time pace = exporter->took * SHARE_OF_PROCESSOR, now = nd_now();
    char *text = NULL;
    if (now - exporter->looked >= (pace > FRESH ? pace : FRESH))
        look(exporter);
    FILE *to = open_memstream(&text, size);
    if (!to)
        return NULL;
    print_all(to, exporter);
    if (fclose(to) == 0)
        return text;
    free(text);
    return NULL;
}

/* Writes beside the file and renames, so that a reader never sees half of it. */
static void write_textfile(struct exporter *exporter) {
    char beside[PATH_MAX];
    snprintf(beside, sizeof beside, "%s.new", exporter->textfile);
    unlink(beside);
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    FILE *to = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool is_good = to != NULL;
    if (to) {
        print_all(to, exporter);
        is_good = !ferror(to);
        is_good &= fclose(to) == 0;
    }
    is_good = is_good && rename(beside, exporter->textfile) == 0;
    if (!is_good && !exporter->has_warned)
        cli_warn("cannot write '%s': %s", exporter->textfile, strerror(errno));
    exporter->has_warned = !is_good;
}

static void serve(struct exporter *exporter) {
    const struct sigaction ending = {.sa_handler = stop};
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, &before); /* they are let in while it waits */
    sigaction(SIGTERM, &ending, NULL);
    sigaction(SIGINT, &ending, NULL);
    signal(SIGPIPE, SIG_IGN);
    while (!is_stopped) {
        if (nd_now() >= exporter->next) {
            look(exporter);
            if (exporter->textfile)
                write_textfile(exporter);
        }
        http_serve(&exporter->http, exporter->next, &before);
    }
}

static int start_listening(struct exporter *exporter, const char *where) {
    const char *wrong;
    exporter->http = (struct http){.listener = -1,
                                   .path = "/metrics",
                                   .type = "text/plain; version=0.0.4; charset=utf-8",
                                   .page = make_page,
                                   .arg = exporter,
                                   .clock = nd_now};
    if (!where)
        return CLI_OK;
    exporter->http.listener = http_listen(where, &wrong);
    if (exporter->http.listener < 0) {
        cli_warn("cannot listen at '%s': %s", where, wrong);
        return CLI_FAILED;
    }
    if (!http_is_local(exporter->http.listener))
        cli_warn("'%s' can be reached from other hosts, and whoever reaches it may read", where);
    return CLI_OK;
}

static int run(int argc, char **argv) {
    enum { LISTEN = CLI_FIRST_OPTION, TEXTFILE, INTERVAL, BY_PID };
    static const struct option options[] = {{"listen", required_argument, NULL, LISTEN},
                                            {"textfile", required_argument, NULL, TEXTFILE},
                                            {"interval", required_argument, NULL, INTERVAL},
                                            {"by-pid", no_argument, NULL, BY_PID},
                                            CLI_HELP,
                                            CLI_END};
    static struct exporter exporter = {.interval = DEFAULT_INTERVAL};
    const char *where = NULL;
    for (int option; (option = cli_next_option(&cli_exporter_command, argc, argv, options)) >= 0;) {
        where = option == LISTEN ? optarg : where;
        exporter.textfile = option == TEXTFILE ? optarg : exporter.textfile;
        exporter.metrics.by_process |= option == BY_PID;
        if (option == INTERVAL && (nd_duration_parse(optarg, &exporter.interval) != 0 || exporter.interval == 0))
            return cli_usage_error(&cli_exporter_command, "'%s' is no time such as 5s", optarg);
    }
    if (optind < argc)
        return cli_usage_error(&cli_exporter_command, "it looks at all processes: '%s' is not needed", argv[optind]);
    int status = start_listening(&exporter, where || exporter.textfile ? where : DEFAULT_LISTEN);
    if (status != CLI_OK)
        return status;
    serve(&exporter);
    http_close(&exporter.http);
    if (where && strncmp(where, "unix:", 5) == 0)
        unlink(where + 5);
    metrics_free(&exporter.metrics);
    return CLI_OK;
}

const struct cli_command cli_exporter_command = {
    .name = "exporter",
    .summary = "shows what was counted to Prometheus, beyond the processes' end",
    .run = run,
    .help = print_help,
};
