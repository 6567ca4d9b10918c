#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/line.h"
#include "cli/block_error.h"
#include "cli/cli.h"
#include "cli/process/block.h"
#include "cli/process/memory.h"
#include "cli/process/processes.h"
#include "cli/process/wake.h"
#include "cli/statistics.h"
#include "shim/settings/setting_value.h"
#include "shim/settings/settings.h"

static void print_help(FILE *to) {
    fprintf(to,
            "Usage: netdeadline set PID [NAME=VALUE...]\n"
            "Changes limits and MODE in a process that runs under the library, for calls that wait already and "
            "connections\n"
            "that stand, too. Without NAME=VALUE it shows what is in force there.\n\n"
            "Names and values are those of 'netdeadline run --help': RECV=30s, CONNECT=off, MODE=observe. Nothing is\n"
            "changed unless every value can be read.\n"
            "Exit status: 0; 2 for wrong usage, 125 if the process has no library or may not be looked into, 127 if\n"
            "there is no such process.\n");
}

/* A change that was asked for. */
struct change {
    const struct nd_setting *setting;
    struct nd_setting_value value;
};

enum { MOST_CHANGES = ND_LIVE_ROWS };

/* Finds the setting of this name. "recv", "tls-handshake" and "NETDEADLINE_RECV" are understood too. */
static const struct nd_setting *find_setting(const char *text, size_t length) {
    char name[64];
    size_t prefix = length > 12 && strncmp(text, "NETDEADLINE_", 12) == 0 ? 12 : 0;
    if (length - prefix >= sizeof name)
        return NULL;
    for (size_t i = prefix; i < length; i++)
        name[i - prefix] = text[i] == '-' ? '_' : (char)toupper((unsigned char)text[i]);
    return nd_setting_find(name, length - prefix);
}

static int parse_change(const char *text, struct change *change) {
    struct nd_settings settings = {0};
    const char *value = strchr(text, '=');
    const struct nd_setting *setting = value ? find_setting(text, (size_t)(value - text)) : NULL;
    if (!value) {
        cli_usage_error(&cli_set_command, "'%s' is not NAME=VALUE", text);
    } else if (!setting) {
        cli_usage_error(&cli_set_command, "there is no setting '%.*s'", (int)(value - text), text);
    } else if (!nd_live_can_change(setting)) {
        cli_usage_error(&cli_set_command, "%s cannot be changed while the program runs; limits and MODE can",
                        setting->name);
    } else if (nd_setting_read(setting, value + 1, &settings) != 0) {
        cli_usage_error(&cli_set_command, "%s: '%s' is not %s", setting->name, value + 1,
                        nd_setting_expects(setting->kind));
    } else {
        *change = (struct change){setting, nd_setting_value_get(setting, &settings)};
        return CLI_OK;
    }
    return CLI_USAGE;
}

static int open_block(struct block *block, pid_t pid) {
    int status = block_process_error(pid);
    return status == CLI_OK ? block_error(pid, block_open(block, pid, true)) : status;
}

static int find_row(const struct nd_live_row *rows, unsigned count, const char *name) {
    for (unsigned i = 0; i < count; i++)
        if (strcmp(rows[i].name, name) == 0 && rows[i].can_change)
            return (int)i;
    return -1;
}

static bool same(struct nd_setting_value a, struct nd_setting_value b) {
    return a.value == b.value && a.window == b.window;
}

/* Gives the new value to the settings that follow the changed one as long as they have none of their own, as
 * INBOUND_UNACKED follows UNACKED. */
static void follow(const struct nd_live_row *rows, unsigned count, struct nd_live_wish *wish,
                   const struct change *change, struct nd_setting_value before) {
    for (size_t i = 0; change->setting->follower && i < nd_setting_count; i++) {
        const struct nd_setting *other = &nd_setting_table[i];
        int row = other->kind == ND_SETTING_TIME && other->field == change->setting->follower
                      ? find_row(rows, count, other->name)
                      : -1;
        if (row >= 0 && same(wish->value[row], before))
            wish->value[row] = change->value;
    }
}

static void print_change(const struct nd_live_row *row, struct nd_setting_value before, struct nd_setting_value after) {
    char old_text[64] = "?", new_text[64] = "?";
    struct nd_live_row shown = *row;
    shown.now = before;
    statistics_setting(&shown, old_text, sizeof old_text);
    shown.now = after;
    statistics_setting(&shown, new_text, sizeof new_text);
    printf("%s: %s -> %s\n", row->name, old_text, new_text);
}

/* Fills *wish with the last wish, or before there has been one with what is in force, and puts the changes on top. */
static int make_wish(const struct block *block, const struct change *changes, int count, struct nd_live_wish *wish) {
    unsigned rows_count;
    struct nd_live_row *rows = block_settings(block, &rows_count);
    int status = CLI_OK;
    if (!rows || memory_read(block->pid, block->state.wish.address, wish, sizeof *wish) != 0) {
        cli_warn("cannot read the settings of process %d: %s", (int)block->pid, strerror(errno));
        status = CLI_FAILED;
    }
    for (unsigned i = 0; status == CLI_OK && i < rows_count; i++)
        if (wish->sequence == 0 || (wish->sequence & 1) || wish->rows != rows_count)
            wish->value[i] = rows[i].now;
    wish->rows = rows_count;
    for (int i = 0; status == CLI_OK && i < count; i++) {
        int row = find_row(rows, rows_count, changes[i].setting->name);
        if (row < 0) {
            cli_warn("the library of process %d does not know %s", (int)block->pid, changes[i].setting->name);
            status = CLI_FAILED;
            break;
        }
        struct nd_setting_value before = wish->value[row];
        wish->value[row] = changes[i].value;
        follow(rows, rows_count, wish, &changes[i], before);
        print_change(&rows[row], before, changes[i].value);
    }
    free(rows);
    return status;
}

static int write_sequence(const struct block *block, uint32_t sequence) {
    return memory_write(block->pid, block->state.wish.address + offsetof(struct nd_live_wish, sequence), &sequence,
                        sizeof sequence);
}

static void report(struct woken woken) {
    if (woken.denied)
        cli_warn(
            "%u calls that wait already could not be woken, since another program traces their threads: they go on as "
            "they began",
            woken.denied);
}

static int write_wish(const struct block *block, struct nd_live_wish *wish) {
    const size_t head = offsetof(struct nd_live_wish, rows);
    uint32_t writing = wish->sequence | 1;
    if (write_sequence(block, writing) != 0 ||
        memory_write(block->pid, block->state.wish.address + head, (const char *)wish + head, sizeof *wish - head) !=
            0 ||
        write_sequence(block, writing + 1) != 0) {
        cli_warn("cannot write to process %d: %s", (int)block->pid, strerror(errno));
        return errno == ESRCH ? CLI_NOT_FOUND : CLI_FAILED;
    }
    block_leave_fast_paths(block);
    /* A call that was just recording something of its socket, by the settings of before, may have reset the byte. */
    const struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
    if (write_sequence(block, writing + 3) == 0)
        block_leave_fast_paths(block);
    report(wake_calls(block));
    return CLI_OK;
}

static int show(const struct block *block) {
    unsigned count;
    char text[64];
    struct nd_live_row *rows = block_settings(block, &count);
    for (unsigned i = 0; rows && i < count; i++)
        if (statistics_setting(&rows[i], text, sizeof text))
            printf("%s=%s\n", nd_setting_find(rows[i].name, strlen(rows[i].name))->name, text);
    free(rows);
    return rows ? CLI_OK : CLI_FAILED;
}

static int run(int argc, char **argv) {
    static const struct option options[] = {CLI_HELP, CLI_END};
    struct change changes[MOST_CHANGES];
    cli_next_option(&cli_set_command, argc, argv, options);
    const char *process = argv[optind];
    pid_t pid = process ? process_parse(process) : 0;
    int count = argc - optind - 1;
    if (!pid)
        return process ? cli_usage_error(&cli_set_command, "'%s' is no process ID", process)
                       : cli_usage_error(&cli_set_command, "which process?");
    if (count > MOST_CHANGES)
        return cli_usage_error(&cli_set_command, "too many settings");
    for (int i = 0; i < count; i++) {
        int status = parse_change(argv[optind + 1 + i], &changes[i]);
        if (status != CLI_OK)
            return status;
    }
    struct block block;
    struct nd_live_wish wish;
    int status = open_block(&block, pid);
    if (status == CLI_OK && count == 0)
        return show(&block);
    if (status == CLI_OK)
        status = make_wish(&block, changes, count, &wish);
    return status == CLI_OK ? write_wish(&block, &wish) : status;
}

const struct cli_command cli_set_command = {
    .name = "set",
    .summary = "changes limits in a running process",
    .run = run,
    .help = print_help,
};
