#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shim/settings/setting_value.h"
#include "shim/settings/settings.h"

enum { MOST_NAME = 32 };

/* Writes the name of a setting's option: "tls-handshake". */
static void option_of(const struct nd_setting *setting, char out[MOST_NAME]) {
    size_t at = 0;
    for (const char *c = setting->name; *c && at < MOST_NAME - 3; c++)
        out[at++] = *c == '_' ? '-' : (char)tolower((unsigned char)*c);
    out[at] = '\0';
}

static bool is_config(const struct nd_setting *setting) {
    return strcmp(setting->name, "CONFIG") == 0;
}

static const char *placeholder(const struct nd_setting *setting) {
    switch (setting->kind) {
    case ND_SETTING_TIME:
        return "TIME";
    case ND_SETTING_RATE:
        return "BYTES/TIME";
    case ND_SETTING_LOG:
        return "WHERE";
    case ND_SETTING_SWITCH:
        return "0|1";
    case ND_SETTING_ADDRESS:
        return "ADDRESS:PORT";
    case ND_SETTING_UNREAD:
        return is_config(setting) ? "FILE" : "NAMES";
    default:
        return "WORD";
    }
}

void options_print_help(FILE *to) {
    char name[MOST_NAME], option[MOST_NAME + 16];
    for (size_t i = 0; i < nd_setting_count; i++) {
        const struct nd_setting *setting = &nd_setting_table[i];
        option_of(setting, name);
        snprintf(option, sizeof option, "%s %s", name, placeholder(setting));
        fprintf(to, "  --%-28s %s [%s]\n", option, setting->meaning, setting->default_text);
    }
    fprintf(to, "  --%-28s the libnetdeadline.so to use instead of the installed one\n", "library PATH");
}

enum { LIBRARY = CLI_FIRST_OPTION + ND_LIVE_ROWS };

/* Makes the table of options: one for each setting, whose val tells its row, and those that stand for none. */
static const struct option *list_options(const struct option *more) {
    static const struct option others[] = {{"library", required_argument, NULL, LIBRARY}, CLI_HELP, CLI_END};
    static struct option options[OPTIONS_MOST_OTHERS + ND_LIVE_ROWS + sizeof others / sizeof others[0]];
    size_t count = nd_setting_count;
    static char names[ND_LIVE_ROWS][MOST_NAME];
    for (size_t i = 0; i < nd_setting_count; i++) {
        option_of(&nd_setting_table[i], names[i]);
        options[i] = (struct option){names[i], required_argument, NULL, CLI_FIRST_OPTION + (int)i};
    }
    for (; more->name; more++)
        options[count++] = *more;
    memcpy(options + count, others, sizeof others);
    return options;
}

/* Takes a setting's value as it is to stand in its variable. A file is named by its whole path, because a program may
 * start in another directory than this one. */
static int take_value(struct options *options, const struct cli_command *command, size_t row, const char *value) {
    const struct nd_setting *setting = &nd_setting_table[row];
    struct nd_settings scratch = {0};
    char name[MOST_NAME];
    option_of(setting, name);
    if (nd_setting_read(setting, value, &scratch) != 0)
        return cli_usage_error(command, "--%s: '%s' is not %s", name, value, nd_setting_expects(setting->kind));
    options->values[row] = is_config(setting) ? realpath(value, NULL) : value;
    if (!options->values[row])
        return cli_usage_error(command, "--%s: cannot read '%s': %s", name, value, strerror(errno));
    return CLI_OK;
}

int options_read_with(struct options *options, const struct cli_command *command, int argc, char **argv,
                      const struct option *others, int (*take)(int option, void *arg), void *arg) {
    const struct option *list = list_options(others);
    *options = (struct options){.library = NULL};
    for (int option; (option = cli_next_option(command, argc, argv, list)) >= 0;) {
        int status = CLI_OK;
        if (option == LIBRARY)
            options->library = optarg;
        else if (option >= OPTIONS_FIRST_OTHER && take)
            status = take(option, arg);
        else
            status = take_value(options, command, (size_t)(option - CLI_FIRST_OPTION), optarg);
        if (status != CLI_OK)
            return status;
    }
    return CLI_OK;
}

int options_read(struct options *options, const struct cli_command *command, int argc, char **argv) {
    static const struct option none = CLI_END;
    return options_read_with(options, command, argc, argv, &none, NULL, NULL);
}

int options_set_variables(const struct options *options) {
    char variable[64];
    for (size_t i = 0; i < nd_setting_count; i++) {
        snprintf(variable, sizeof variable, "NETDEADLINE_%s", nd_setting_table[i].name);
        if (options->values[i] && setenv(variable, options->values[i], 1) != 0) {
            cli_warn("cannot set the environment: %s", strerror(errno));
            return CLI_FAILED;
        }
    }
    return CLI_OK;
}

int options_find_library(const struct options *options, const struct cli_command *command, struct library *library) {
    const char *path = options->library;
    if (path && library_take(library, path) != 0)
        return cli_usage_error(command, "--library: cannot read '%s': %s", path, strerror(errno));
    if (!path && library_find(library) != 0) {
        cli_warn("libnetdeadline.so is not beside this command nor where it was installed; --library names it");
        return CLI_FAILED;
    }
    if (!library_is_tellable(library)) {
        cli_warn("the loader cannot be told '%s': its path has a colon or a blank", library->preload);
        return CLI_FAILED;
    }
    return CLI_OK;
}
