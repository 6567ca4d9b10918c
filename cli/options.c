#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "shim/settings/setting_value.h"
#include "shim/settings/settings.h"

enum { MOST_NAME = 32 };

/* A setting's option: "--tls-handshake". */
static void option_of(const struct nd_setting *setting, char out[MOST_NAME]) {
    size_t at = 0;
    for (const char *c = setting->name; *c && at < MOST_NAME - 3; c++)
        out[at++] = *c == '_' ? '-' : (char)tolower((unsigned char)*c);
    out[at] = '\0';
}

/* The setting that `option` (`length` bytes, without dashes) is for, or NULL. */
static const struct nd_setting *setting_of(const char *option, size_t length) {
    char name[MOST_NAME];
    for (size_t i = 0; i < nd_setting_count; i++) {
        option_of(&nd_setting_table[i], name);
        if (strlen(name) == length && strncmp(name, option, length) == 0)
            return &nd_setting_table[i];
    }
    return NULL;
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

static bool is_library(const char *option, size_t length) {
    return length == strlen("library") && strncmp(option, "library", length) == 0;
}

/* What the value of an option becomes as a variable, or NULL: a program may start in another directory than this one. */
static const char *value_of(const struct nd_setting *setting, const char *value, char path[PATH_MAX]) {
    return is_config(setting) ? realpath(value, path) : value;
}

static int take_option(struct options *options, const char *option, size_t length, const char *value) {
    struct nd_settings scratch = {0};
    char path[PATH_MAX];
    if (is_library(option, length)) {
        options->library = value;
        return CLI_OK;
    }
    const struct nd_setting *setting = setting_of(option, length);
    if (nd_setting_read(setting, value, &scratch) != 0)
        return cli_usage_error(options->command, "--%.*s: '%s' is not %s", (int)length, option, value,
                               nd_setting_expects(setting->kind));
    const char *variable = value_of(setting, value, path);
    if (!variable)
        return cli_usage_error(options->command, "--%.*s: cannot read '%s': %s", (int)length, option, value,
                               strerror(errno));
    if (options->take(setting, variable, options->arg) != 0) {
        cli_complain("cannot set the environment: %s", strerror(errno));
        return CLI_FAILED;
    }
    return CLI_OK;
}

int options_read(struct options *options, char **argv) {
    for (argv++; *argv && (*argv)[0] == '-'; argv++) {
        if (strcmp(*argv, "--") == 0) {
            argv++;
            break;
        }
        const char *option = *argv + 2;
        size_t length = strncmp(*argv, "--", 2) == 0 ? strcspn(option, "=") : 0;
        if (length == 0 || !(is_library(option, length) || setting_of(option, length)))
            return cli_usage_error(options->command, "there is no option '%s'", *argv);
        const char *value = option[length] == '=' ? option + length + 1 : *++argv;
        if (!value)
            return cli_usage_error(options->command, "--%s needs a value", option);
        int status = take_option(options, option, length, value);
        if (status != CLI_OK)
            return status;
    }
    options->rest = argv;
    return CLI_OK;
}

int options_find_library(const struct options *options, struct library *library) {
    const char *path = options->library;
    if (path && library_take(library, path) != 0)
        return cli_usage_error(options->command, "--library: cannot read '%s': %s", path, strerror(errno));
    if (!path && library_find(library) != 0) {
        cli_complain("libnetdeadline.so is not beside this command nor where it was installed; --library names it");
        return CLI_FAILED;
    }
    if (!library_is_tellable(library)) {
        cli_complain("the loader cannot be told '%s': its path has a colon or a blank", library->preload);
        return CLI_FAILED;
    }
    return CLI_OK;
}
