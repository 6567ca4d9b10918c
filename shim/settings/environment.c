#include "shim/settings/environment.h"

#include <string.h>

#include "shim/settings/setting_value.h"

#define PREFIX "NETDEADLINE_"

enum { PREFIX_LENGTH = sizeof PREFIX - 1 };

void nd_settings_defaults(struct nd_settings *settings) {
    *settings = (struct nd_settings){0};
    for (size_t i = 0; i < nd_setting_count; i++)
        nd_setting_read(&nd_setting_table[i], nd_setting_table[i].default_text, settings);
    settings->resolve = ND_RESOLVE_DEFAULT;
}

static bool is_ours(const char *variable) {
    return variable[0] == PREFIX[0] && strncmp(variable, PREFIX, PREFIX_LENGTH) == 0;
}

const char *nd_settings_variable(char *const *environment, const char *name) {
    size_t length = strlen(name);
    for (; *environment; environment++) {
        const char *variable = *environment + PREFIX_LENGTH;
        if (is_ours(*environment) && strncmp(variable, name, length) == 0 && variable[length] == '=')
            return variable + length + 1;
    }
    return NULL;
}

/* The first variable that may be a setting. Most programs are started without any: what follows would cost them as many
 * comparisons as there are variables, for each setting. */
static char *const *first_of_ours(char *const *environment) {
    while (*environment && !is_ours(*environment))
        environment++;
    return environment;
}

static void put_invalid(struct nd_line *line, const struct nd_setting *setting, const char *value,
                        const struct nd_settings *settings) {
    nd_line_put(line, PREFIX);
    nd_line_put(line, setting->name);
    nd_line_put(line, "=\"");
    nd_line_put_escaped(line, value, strlen(value), 48);
    nd_line_put(line, "\" cannot be read, using ");
    nd_setting_put(setting, settings, line);
}

static void put_unknown(struct nd_line *line, const char *name, size_t length) {
    nd_line_put(line, PREFIX);
    nd_line_put_escaped(line, name, length, 48);
    nd_line_put(line, " is not a setting, ignored");
}

uint64_t nd_settings_from_environment(struct nd_settings *settings, char *const *environment,
                                      void (*warn)(const char *text, void *arg), void *arg) {
    char text[512]; /* the value that stays in force may be the path of a log file, which fills half of it */
    struct nd_line line;
    uint64_t taken = 0;
    if (!environment || !*(environment = first_of_ours(environment)))
        return 0;
    /* In the order of the table, not of the environment: a follower's own value must replace the one it follows. */
    for (const struct nd_setting *row = nd_setting_table; row < nd_setting_table + nd_setting_count; row++) {
        const char *value = nd_settings_variable(environment, row->name);
        if (!value)
            continue;
        if (nd_setting_read(row, value, settings) == 0) {
            taken |= (uint64_t)1 << (row - nd_setting_table);
            continue;
        }
        nd_line_start(&line, text, sizeof text);
        put_invalid(&line, row, value, settings);
        warn(text, arg);
    }
    for (; *environment; environment++) {
        const char *name = *environment + PREFIX_LENGTH;
        if (!is_ours(*environment) || nd_setting_find(name, strcspn(name, "=")))
            continue;
        nd_line_start(&line, text, sizeof text);
        put_unknown(&line, name, strcspn(name, "="));
        warn(text, arg);
    }
    return taken;
}
