#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cli/blocked_table.h"
#include "cli/cli.h"
#include "cli/process/process_connections.h"
#include "cli/process/processes.h"
#include "cli/process/sockets.h"
#include "cli/terminal.h"

enum { INTERVAL_MS = 1000, HEADER_LINES = 2 };

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define CLEAR_LINE_END "\033[K"
#define CLEAR_BELOW "\033[J"

static volatile sig_atomic_t stopped, resized;

static void stop(int number) {
    (void)number;
    stopped = 1;
}

static void resize(int number) {
    (void)number;
    resized = 1;
}

static void print_help(FILE *to) {
    fprintf(to, "Usage: netdeadline top [PID...]\n"
                "Shows what 'netdeadline ps' shows, anew every second, the longest waits first. q quits.\n"
                "USED is how much of the limit's time is used. What is overdue is red, and yellow what soon will be,\n"
                "unless NO_COLOR is set.\n\n"
                "Exit status: 0; 2 for wrong usage, 125 if the output is no terminal.\n");
}

/* Collects the blocked calls of the processes `pids`, which end with a NULL, or of all processes where there are
 * none. */
static void collect(struct blocked_list *list, char *const *pids) {
    socket_forget_lists();
    process_connections_forget();
    if (!*pids)
        blocked_collect_all(list);
    for (; *pids; pids++)
        blocked_collect(list, process_parse(*pids), true);
    blocked_sort(list, true);
}

static struct terminal_colours colours;

/* What is overdue stands out, and what has used four fifths of its time. Under enforced limits a row that is overdue is
 * gone by the next look; in MODE=observe it stays. */
static const char *colour_of(const struct blocked_list *list, size_t row) {
    const struct blocked *entry = row < list->count ? &list->entries[row] : NULL;
    const int64_t used = entry ? blocked_used(entry) : -1;
    if (used < 0)
        return "";
    return used >= entry->limit ? colours.alarm : used >= entry->limit - entry->limit / 5 ? colours.warning : "";
}

/* Each line is cleared behind its end only, so that the screen does not flicker. */
static void show(const struct blocked_list *list, const struct winsize *size) {
    struct table table;
    char *text = NULL, clock[16];
    size_t length = 0, rows = size->ws_row > HEADER_LINES + 1U ? size->ws_row - HEADER_LINES - 1U : 1, waiting = 0;
    time_t now = time(NULL);
    struct tm local;
    FILE *to = open_memstream(&text, &length);
    if (!to)
        return;
    for (size_t i = 0; i < list->count; i++)
        waiting += list->entries[i].tid != 0;
    strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &local));
    fprintf(to, "netdeadline %s  %zu blocked calls  q quits\n\n", clock, waiting);
    blocked_tabulate(list, true, &table);
    table_print(&table, to, rows, size->ws_col, NULL, NULL);
    table_free(&table);
    fclose(to);
    fputs(HOME, stdout);
    size_t number = 0;
    for (const char *line = text; *line; number++) {
        size_t end = strcspn(line, "\n");
        const char *colour = number > HEADER_LINES ? colour_of(list, number - HEADER_LINES - 1) : "";
        printf("%s%.*s%s" CLEAR_LINE_END "\n", colour, (int)(end < size->ws_col ? end : size->ws_col), line,
               colour[0] ? colours.end : "");
        line += end + (line[end] == '\n');
    }
    fputs(CLEAR_BELOW, stdout);
    fflush(stdout);
    free(text);
}

static void window_size(struct winsize *size) {
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, size) != 0 || size->ws_row == 0 || size->ws_col == 0)
        *size = (struct winsize){.ws_row = 24, .ws_col = 80};
}

/* Waits for a key, a new window size or the next second. Returns true where the command is to end. */
static bool wait_for_key(void) {
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char key;
    resized = 0;
    int ready = poll(&in, 1, INTERVAL_MS);
    if (stopped || (ready < 0 && errno != EINTR))
        return true;
    if (ready <= 0)
        return false;
    ssize_t got = read(STDIN_FILENO, &key, 1);
    return got <= 0 || key == 'q' || key == 'Q';
}

static void loop(char *const *pids) {
    do {
        struct blocked_list list = {0};
        struct winsize size;
        collect(&list, pids);
        window_size(&size);
        show(&list, &size);
        blocked_free(&list);
    } while (!wait_for_key());
}

static int run(int argc, char **argv) {
    static const struct option options[] = {CLI_HELP, CLI_END};
    struct termios before, raw;
    cli_next_option(&cli_top_command, argc, argv, options);
    if (!cli_are_processes(&cli_top_command, argv + optind))
        return CLI_USAGE;
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0) {
        cli_warn("top needs a terminal; 'netdeadline ps' prints the same once");
        return CLI_FAILED;
    }
    const struct sigaction ending = {.sa_handler = stop}, resizing = {.sa_handler = resize};
    sigaction(SIGINT, &ending, NULL);
    sigaction(SIGTERM, &ending, NULL);
    sigaction(SIGHUP, &ending, NULL);
    sigaction(SIGWINCH, &resizing, NULL);
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* a command stopped by ^Z would leave the terminal raw */
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    colours = terminal_colours(stdout);
    fputs(ENTER, stdout);
    loop(argv + optind);
    fputs(LEAVE, stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    return CLI_OK;
}

const struct cli_command cli_top_command = {
    .name = "top",
    .summary = "shows the same, live",
    .run = run,
    .help = print_help,
};
