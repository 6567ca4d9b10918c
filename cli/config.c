/* `netdeadline config`: tells whether the config file is in order, or what it comes to for one program and
 * destination. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/line.h"
#include "cli/cli.h"
#include "shim/settings/environment.h"
#include "shim/settings/rules.h"
#include "shim/settings/setting_value.h"
#include "shim/settings/settings.h"

enum { IN_ORDER = 0, MISTAKES = 1 };

static void print_help(FILE *to) {
    fprintf(to,
            "Usage: netdeadline config --check [FILE]\n"
            "       netdeadline config --explain [--file FILE] [--inbound] PROGRAM HOST[:PORT]\n"
            "Checks the config file, or tells what applies to a program's connections to (or, --inbound, from)\n"
            "HOST: each limit, its value, and where that comes from. With --inbound the port is the program's own.\n"
            "HOST is an address, a name, or unix:PATH.\n\n"
            "Without FILE it is NETDEADLINE_CONFIG, or " ND_RULES_FILE ".\n"
            "Exit status: 0 if all is in order, 1 if the file has mistakes, 2 for wrong usage, 125 if it cannot be\n"
            "read, 127 if it is missing.\n");
}

static const char *default_file(void) {
    const char *path = getenv("NETDEADLINE_CONFIG");
    return path && path[0] ? path : ND_RULES_FILE;
}

/* Where mistakes in the file are printed, "FILE:LINE: what". The reader of the file has escaped them. */
struct mistakes {
    FILE *to;
    unsigned count;
};

static void take_mistake(const char *text, void *arg) {
    struct mistakes *mistakes = arg;
    fprintf(mistakes->to, "%s\n", text);
    mistakes->count++;
}

/* Reads the file as the library would, but for all programs. Returns an exit status. A file that is missing is none
 * where `optional` is set. */
static int read_rules(struct nd_rules *rules, const char *path, bool optional) {
    int fd = access(path, F_OK) == 0 || errno != ENOENT ? nd_rules_open_file(rules, false, false) : -1;
    if (fd >= 0) {
        nd_rules_read_file(rules, fd);
        return CLI_OK;
    }
    if (errno != ENOENT)
        return CLI_FAILED;
    if (optional)
        return CLI_OK;
    cli_warn("there is no file '%s'", path);
    return CLI_NOT_FOUND;
}

static struct nd_rules rules;
static struct nd_settings settings;

static int check(const char *path) {
    struct mistakes mistakes = {.to = stdout};
    nd_settings_defaults(&settings);
    nd_rules_start(&rules, &settings, NULL, path, take_mistake, &mistakes);
    int status = read_rules(&rules, path, false);
    nd_rules_finish(&rules);
    if (status != CLI_OK)
        return status;
    return mistakes.count > 0 ? MISTAKES : IN_ORDER;
}

/* The other side of the connection that is to be explained, as the operator has named it. */
struct side {
    bool inbound;
    const char *program;
    struct nd_endpoint where;
    char host[256]; /* its name, or empty */
    char found[INET6_ADDRSTRLEN];
    struct nd_endpoint_address place;
    struct sockaddr_un path;
    bool has_address;
};

/* Looks up the host's first address, by this command's own resolver. */
static void look_up(struct side *side) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    if (getaddrinfo(side->host, NULL, &hints, &list) == 0 &&
        nd_endpoint_address_of(list->ai_addr, list->ai_addrlen, &side->place)) {
        side->has_address = true;
        getnameinfo(list->ai_addr, list->ai_addrlen, side->found, sizeof side->found, NULL, 0, NI_NUMERICHOST);
    }
    if (list)
        freeaddrinfo(list);
    side->place.port = side->where.port;
}

static int read_side(struct side *side, const char *text) {
    const char *wrong = nd_endpoint_parse((struct nd_word){text, strlen(text)}, &side->where);
    bool is_exact =
        side->where.kind != ND_ENDPOINT_ANY && (side->where.kind != ND_ENDPOINT_ADDRESS || side->where.bits == 128);
    if (!wrong && !is_exact)
        wrong = "is not a single host";
    if (wrong)
        return cli_usage_error(&cli_config_command, "'%s' %s", text, wrong);
    if (side->where.kind == ND_ENDPOINT_ADDRESS) {
        side->place = (struct nd_endpoint_address){.address = side->where.address, .port = side->where.port};
        side->has_address = true;
    } else if (side->where.kind == ND_ENDPOINT_NAME) {
        snprintf(side->host, sizeof side->host, "%.*s", (int)side->where.text.size, side->where.text.at);
        look_up(side);
    } else {
        size_t size = side->where.text.size;
        if (size >= sizeof side->path.sun_path)
            return cli_usage_error(&cli_config_command, "'%s' is too long", text);
        side->path.sun_family = AF_UNIX;
        memcpy(side->path.sun_path, side->where.text.at, size);
        if (side->path.sun_path[0] == '@')
            side->path.sun_path[0] = '\0';
    }
    return CLI_OK;
}

static struct nd_rule_set rules_of(const struct side *side) {
    struct nd_rule_set named = nd_rules_named(&rules, side->host), all = {{0}};
    if (side->where.kind == ND_ENDPOINT_PATH)
        return nd_rules_at_path(&rules, side->inbound, (const struct sockaddr *)&side->path,
                                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + side->where.text.size));
    if (side->has_address)
        return nd_rules_at(&rules, side->inbound, &side->place, &named);
    for (unsigned i = 0; i < rules.count; i++) /* without an address, what holds for the name and the port */
        if (rules.rules[i].inbound == side->inbound && nd_endpoint_has_port(&rules.rules[i].where, side->where.port) &&
            (rules.rules[i].where.kind == ND_ENDPOINT_ANY || nd_rule_set_has(&named, i)))
            nd_rule_set_add(&all, i);
    return all;
}

static bool is_of_side(const struct nd_setting *setting, bool inbound) {
    bool is_inbound = strncmp(setting->name, "INBOUND_", 8) == 0 || strcmp(setting->name, "ACCEPT") == 0;
    bool is_limit = setting->kind == ND_SETTING_TIME || setting->kind == ND_SETTING_RATE;
    return is_limit ? is_inbound == inbound : setting->kind != ND_SETTING_UNREAD;
}

/* The row of the table whose value this one takes as long as it has none of its own; otherwise this row. */
static size_t source_of(size_t row) {
    if (rules.from_environment >> row & 1 || rules.base_line[row])
        return row;
    for (size_t at = 0; at < nd_setting_count; at++)
        if (nd_setting_table[at].follower && nd_setting_table[at].follower == nd_setting_table[row].field)
            return at;
    return row;
}

static void print_row(size_t row, const struct nd_settings *made, uint16_t line) {
    const struct nd_setting *setting = &nd_setting_table[row];
    char value[600];
    struct nd_line text;
    nd_line_start(&text, value, sizeof value);
    nd_setting_put(setting, made, &text);
    printf("  %-22s %-12s ", setting->name, value);
    row = line ? row : source_of(row);
    if (rules.from_environment >> row & 1)
        printf("NETDEADLINE_%s\n", nd_setting_table[row].name);
    else if (line || rules.base_line[row])
        printf("%s:%u\n", rules.file, (unsigned)(line ? line : rules.base_line[row]));
    else
        printf("default\n");
}

static void print_passing(void) {
    bool skipped = rules.in_skip;
    uint16_t line = skipped ? rules.skip_line : rules.only_line;
    printf("it runs as without the library: %s", skipped ? "SKIP names it (" : "ONLY does not name it (");
    if (line)
        printf("%s:%u)\n", rules.file, line);
    else
        printf("NETDEADLINE_%s)\n", skipped ? "SKIP" : "ONLY");
}

static void print_side(const struct side *side, const char *text) {
    char escaped[600];
    struct nd_line line;
    nd_line_start(&line, escaped, sizeof escaped);
    nd_line_put_escaped(&line, side->program, strlen(side->program), 200);
    nd_line_put(&line, side->inbound ? " from " : " to ");
    nd_line_put_escaped(&line, text, strlen(text), 300);
    printf("%s", escaped);
    if (side->found[0])
        printf(" (%s here)", side->found);
    else if (side->host[0])
        printf(" (it has no address here: sections for addresses are left out)");
    printf("\n");
}

static int explain(const char *path, bool is_named, struct side *side, const char *text) {
    struct mistakes mistakes = {.to = stderr};
    struct nd_program program;
    uint16_t lines[ND_RULES_MOST_SETTINGS] = {0};
    int status = read_side(side, text);
    if (status != CLI_OK)
        return status;
    nd_program_named(&program, side->program);
    nd_settings_defaults(&settings);
    nd_rules_start(&rules, &settings, &program, path, take_mistake, &mistakes);
    status = read_rules(&rules, path, !is_named);
    nd_rules_take_environment(&rules, environ);
    nd_rules_finish(&rules);
    if (status != CLI_OK)
        return status;
    struct nd_settings made = settings;
    struct nd_rule_set set = rules_of(side);
    nd_rules_apply(&rules, &set, rules.from_environment, &made, lines);
    print_side(side, text);
    if (nd_rules_pass(&rules))
        print_passing();
    else
        for (size_t row = 0; row < nd_setting_count; row++)
            if (is_of_side(&nd_setting_table[row], side->inbound))
                print_row(row, &made, lines[row]);
    return mistakes.count > 0 ? MISTAKES : IN_ORDER;
}

static int run_check(char *const *arguments) {
    if (arguments[0] && arguments[1])
        return cli_usage_error(&cli_config_command, "--check takes one file");
    return check(arguments[0] ? arguments[0] : default_file());
}

static int run_explain(struct side *side, const char *file, char *const *arguments) {
    if (!arguments[0] || !arguments[0][0] || !arguments[1] || arguments[2])
        return cli_usage_error(&cli_config_command, "a program and a host are needed");
    side->program = arguments[0];
    return explain(file ? file : default_file(), file || getenv("NETDEADLINE_CONFIG"), side, arguments[1]);
}

static int run(int argc, char **argv) {
    enum { CHECK = CLI_FIRST_OPTION, EXPLAIN, NAMED_FILE, INBOUND };
    static const struct option options[] = {{"check", no_argument, NULL, CHECK},
                                            {"explain", no_argument, NULL, EXPLAIN},
                                            {"file", required_argument, NULL, NAMED_FILE},
                                            {"inbound", no_argument, NULL, INBOUND},
                                            CLI_HELP,
                                            CLI_END};
    struct side side = {.inbound = false};
    const char *file = NULL;
    bool is_check = false, is_explain = false;
    for (int option; (option = cli_next_option(&cli_config_command, argc, argv, options)) >= 0;) {
        is_check |= option == CHECK;
        is_explain |= option == EXPLAIN;
        side.inbound |= option == INBOUND;
        file = option == NAMED_FILE ? optarg : file;
    }
    if (is_check == is_explain)
        return cli_usage_error(&cli_config_command, "--check or --explain is needed");
    if (is_check && (file || side.inbound))
        return cli_usage_error(&cli_config_command, "--file and --inbound go with --explain");
    return is_check ? run_check(argv + optind) : run_explain(&side, file, argv + optind);
}

const struct cli_command cli_config_command = {
    .name = "config",
    .summary = "checks the config file, and explains what applies and why",
    .run = run,
    .help = print_help,
};
