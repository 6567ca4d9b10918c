#include "cli/drop_in.h"

#include <ctype.h>
#include <string.h>

#define COPY "# A copy of the library, made for this service: "

bool drop_in_is_name(const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr(":-_.\\@", name[i]))
            return false;
    return length > 0 && length <= DROP_IN_MOST_NAME && name[0] != '.';
}

void drop_in_whole_name(const char *name, char out[DROP_IN_MOST_NAME + 16]) {
    const char *suffix = strrchr(name, '.');
    bool is_whole = suffix && strcmp(suffix, ".service") == 0;
    snprintf(out, DROP_IN_MOST_NAME + 16, "%s%s", name, is_whole ? "" : ".service");
}

void drop_in_path(const char *unit, char out[PATH_MAX]) {
    snprintf(out, PATH_MAX, DROP_IN_UNITS "/%s.d/" DROP_IN_FILE, unit);
}

void drop_in_print_quoted(FILE *to, const char *value) {
    for (; *value; value++) {
        if (iscntrl((unsigned char)*value)) {
            fprintf(to, "\\x%02x", (unsigned char)*value);
            continue;
        }
        if (*value == '"' || *value == '\\')
            putc('\\', to);
        else if (*value == '%')
            putc('%', to);
        putc(*value, to);
    }
}

static void print_variable(FILE *to, const char *name, const char *value) {
    fprintf(to, "Environment=\"%s=", name);
    drop_in_print_quoted(to, value);
    fprintf(to, "\"\n");
}

void drop_in_print_settings(FILE *to, const struct options *options) {
    char name[64];
    for (size_t i = 0; i < nd_setting_count; i++)
        if (options->values[i]) {
            snprintf(name, sizeof name, "NETDEADLINE_%s", nd_setting_table[i].name);
            print_variable(to, name, options->values[i]);
        }
}

static void print_tail(FILE *to) {
    fprintf(
        to,
        "# The library needs no system call beyond those of the service's own network code, but to tell an expiry:\n"
        "# @file-system and @network-io of systemd.exec(5)'s SystemCallFilter= cover that; with BACKTRACE=1 also\n"
        "# process_vm_readv. A unit with RootDirectory= or RootImage= needs the library inside, one with NoExecPaths=\n"
        "# needs it under ExecPaths= (Debian's redis-server: not in /usr/local). Units that gain privileges on\n"
        "# execution (a set-uid ExecStart=) ignore LD_PRELOAD.\n");
}

void drop_in_print(FILE *to, const struct drop_in *drop_in) {
    char unit[DROP_IN_MOST_NAME + 16], path[PATH_MAX];
    drop_in_whole_name(drop_in->unit, unit);
    drop_in_path(unit, path);
    fprintf(to,
            "# %s, by netdeadline " ND_VERSION "\n"
            "[Service]\n"
            "# An LD_PRELOAD of the unit's own is replaced: put its libraries behind ours, with a colon between.\n",
            path);
    print_variable(to, "LD_PRELOAD", drop_in->preload);
    drop_in_print_settings(to, drop_in->options);
    if (drop_in->exec_path)
        fprintf(to, "ExecPaths=%s\n", drop_in->exec_path);
    if (drop_in->copy)
        fprintf(to, COPY "%s\n", drop_in->copy);
    print_tail(to);
}

bool drop_in_is_ours(const char *text) {
    size_t length = strcspn(text, "\n");
    const char *by = memmem(text, length, ", by netdeadline ", 17);
    return text[0] == '#' && by;
}

bool drop_in_copy(const char *text, char out[PATH_MAX]) {
    const char *line = strstr(text, "\n" COPY);
    if (!line)
        return false;
    line += sizeof COPY;
    size_t length = strcspn(line, "\n");
    if (length == 0 || length >= PATH_MAX || line[0] != '/')
        return false;
    memcpy(out, line, length);
    out[length] = '\0';
    return true;
}
