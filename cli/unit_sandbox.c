#include "cli/unit_sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/musl.h"
#include "cli/program.h"
#include "cli/replace_file.h"
#include "cli/unit_facts.h"
#include "cli/uselessness.h"

enum { MOST_VALUE = 32768 };

/* Takes the next word of a list, without the marks that systemd knows in front of a path. Returns false at its end. */
static bool next_word(const char **from, char *out, size_t size) {
    *from += strspn(*from, " ");
    size_t length = strcspn(*from, " "), marks = strspn(*from, "-+~");
    bool found = length > 0;
    snprintf(out, size, "%.*s", (int)(length > marks ? length - marks : 0), *from + (length > marks ? marks : 0));
    *from += length;
    return found;
}

/* How long the path is that covers `file`: the file itself or a directory above it. 0: none does. */
static size_t length_if_covers(char *path, const char *file) {
    char real[PATH_MAX];
    path[strcspn(path, ":")] = '\0'; /* TemporaryFileSystem= has options behind it */
    if (!realpath(path, real))
        snprintf(real, sizeof real, "%s", path);
    size_t length = strlen(real);
    if (strcmp(real, "/") == 0)
        return 1;
    return length > 0 && strncmp(real, file, length) == 0 && (file[length] == '/' || !file[length]) ? length + 1 : 0;
}

/* The length of the longest path of a list that covers the file; of two lists the longer one is in force. With `above`
 * what names the file itself does not count: an earlier drop-in of ours has put it there. */
static size_t covered_by(const char *facts, const char *property, const char *file, bool above) {
    static char list[MOST_VALUE];
    char path[PATH_MAX];
    size_t longest = 0;
    unit_facts_value(facts, property, list, sizeof list);
    for (const char *at = list; next_word(&at, path, sizeof path);) {
        size_t length = length_if_covers(path, file);
        if (length > longest && !(above && length > strlen(file)))
            longest = length;
    }
    return longest;
}

static size_t covered(const char *facts, const char *property, const char *file) {
    return covered_by(facts, property, file, false);
}

static bool has_word(const char *list, const char *word) {
    size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += length)
        if ((at == list || strchr(" ~", at[-1])) && (at[length] == ' ' || !at[length]))
            return true;
    return false;
}

static const char *value_of(const struct options *options, const char *name) {
    for (size_t i = 0; i < nd_setting_count; i++)
        if (options->values[i] && strcmp(nd_setting_table[i].name, name) == 0)
            return options->values[i];
    return NULL;
}

static void check_paths(const char *facts, const char *file, struct findings *findings, struct unit_needs *needs) {
    static const char *const hiding[] = {"InaccessiblePaths", "TemporaryFileSystem"};
    char value[PATH_MAX];
    size_t executable = covered_by(facts, "ExecPaths", file, true);
    needs->exec_path = covered(facts, "NoExecPaths", file) > executable;
    if (needs->exec_path)
        finding_note(findings, "NoExecPaths= forbids to load it from where it lies: the drop-in adds ExecPaths=%s",
                     file);
    for (size_t i = 0; i < sizeof hiding / sizeof hiding[0]; i++)
        if (covered(facts, hiding[i], file))
            finding_bad(findings, "%s= hides %s from the service", hiding[i], file);
    if (unit_facts_value(facts, "RootImage", value, sizeof value))
        finding_bad(findings, "RootImage=%s is all that the service sees: the library has to be in that image", value);
    if (unit_facts_value(facts, "RootDirectory", value, sizeof value) && strcmp(value, "/") != 0) {
        snprintf(needs->root, sizeof needs->root, "%s", value + strspn(value, "-+"));
        finding_note(findings, "RootDirectory=%s is all that the service sees: the library is copied into it",
                     needs->root);
    }
}

/* Reads the word NAME=VALUE of Environment=, whose words may be in quotes. */
static bool environment_value(const char *facts, const char *name, char *out, size_t size) {
    static char list[MOST_VALUE];
    size_t length = strlen(name);
    out[0] = '\0';
    unit_facts_value(facts, "Environment", list, sizeof list);
    for (const char *at = list; (at = strstr(at, name)); at += length) {
        bool is_quoted = at > list && at[-1] == '"';
        if (at[length] != '=' || (at > list && !is_quoted && at[-1] != ' '))
            continue;
        const char *value = at + length + 1;
        snprintf(out, size, "%.*s", (int)strcspn(value, is_quoted ? "\"" : " "), value);
        return true;
    }
    return false;
}

/* Keeps what the service preloads itself, but for a libnetdeadline.so of an earlier run. */
static void keep_preloads(const char *facts, struct findings *findings, struct unit_needs *needs) {
    char list[PATH_MAX];
    size_t used = 0;
    if (!environment_value(facts, "LD_PRELOAD", list, sizeof list))
        return;
    char *rest;
    for (char *word = strtok_r(list, ": ", &rest); word; word = strtok_r(NULL, ": ", &rest))
        if (!strstr(word, "libnetdeadline.so") && used + strlen(word) + 2 < sizeof needs->other_preloads)
            used += (size_t)snprintf(needs->other_preloads + used, sizeof needs->other_preloads - used, "%s%s",
                                     used ? ":" : "", word);
    if (used)
        finding_note(findings, "the service preloads %s itself, which stays behind the library", needs->other_preloads);
}

/* Whether a file of variables sets one whose name begins with `name`. */
static bool file_sets(const char *path, const char *name) {
    size_t size, length = strlen(name);
    char *text = file_read(path, &size);
    bool found = false;
    for (const char *line = text; line && !found;) {
        line += strspn(line, " \t");
        found = strncmp(line, name, length) == 0;
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    free(text);
    return found;
}

static void check_environment(const char *facts, struct findings *findings, struct unit_needs *needs) {
    static char value[MOST_VALUE];
    char path[PATH_MAX];
    keep_preloads(facts, findings, needs);
    for (const char *at = facts; unit_facts_next(&at, "EnvironmentFiles", value, sizeof value);) {
        const char *word = value;
        next_word(&word, path, sizeof path);
        if (file_sets(path, "LD_PRELOAD="))
            finding_bad(findings, "EnvironmentFile=%s sets LD_PRELOAD, which goes before the drop-in's", path);
        if (file_sets(path, "NETDEADLINE_"))
            finding_note(findings, "EnvironmentFile=%s sets variables of netdeadline, which go before the drop-in's",
                         path);
    }
    unit_facts_value(facts, "UnsetEnvironment", value, sizeof value);
    if (has_word(value, "LD_PRELOAD"))
        finding_bad(findings, "UnsetEnvironment= takes LD_PRELOAD away again");
}

/* Whether systemd's filter lets a call through. It lists the calls that are allowed, or behind a ~ those that are not. */
static bool is_allowed(const char *filter, const char *call) {
    return has_word(filter, call) == (filter[0] != '~');
}

static void check_filter(const char *facts, const struct options *options, struct findings *findings) {
    static const char *const always[] = {"openat",      "fcntl",       "getsockopt", "setsockopt",
                                         "getsockname", "getpeername", "connect",    "poll"};
    static const char *const to_stack[] = {"process_vm_readv", "rt_sigaction", "rt_sigprocmask"};
    static const char *const to_tell[] = {"openat", "write", "close", "fstat", "socket", "sendto"};
    static char filter[MOST_VALUE];
    const char *log = value_of(options, "LOG"), *backtrace = value_of(options, "BACKTRACE");
    bool tells = (log && strcmp(log, "off") != 0) || value_of(options, "STATSD"),
         stacks = backtrace && *backtrace == '1';
    int bad = findings->bad;
    if (!unit_facts_value(facts, "SystemCallFilter", filter, sizeof filter) || strcmp(filter, "~") == 0)
        return;
    if (strchr(filter, '@')) { /* systemd prints the calls of a group, not its name */
        finding_note(findings, "SystemCallFilter= names groups that are not looked into here: %.200s", filter);
        return;
    }
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        if (!is_allowed(filter, always[i]))
            finding_bad(findings, "SystemCallFilter= forbids %s, which the library calls", always[i]);
    for (size_t i = 0; tells && i < sizeof to_tell / sizeof to_tell[0]; i++)
        if (!is_allowed(filter, to_tell[i]))
            finding_bad(findings, "SystemCallFilter= forbids %s, by which an expiry is told: leave --log out",
                        to_tell[i]);
    for (size_t i = 0; stacks && i < sizeof to_stack / sizeof to_stack[0]; i++)
        if (!is_allowed(filter, to_stack[i]))
            finding_bad(findings, "SystemCallFilter= forbids %s, which --backtrace 1 takes", to_stack[i]);
    if (findings->bad == bad)
        finding_good(findings, "SystemCallFilter= allows what the library calls");
}

static bool is_yes(const char *facts, const char *property, char *value, size_t size) {
    return unit_facts_value(facts, property, value, size) && strcmp(value, "no") != 0;
}

/* What keeps the log from being written. */
static void check_log(const char *facts, const char *log, struct findings *findings) {
    char value[4096], user[64];
    if (!log || strcmp(log, "off") == 0 || strcmp(log, "stderr") == 0)
        return;
    if (strcmp(log, "syslog") == 0) {
        if (unit_facts_value(facts, "RestrictAddressFamilies", value, sizeof value) &&
            has_word(value, "AF_UNIX") == (value[0] == '~'))
            finding_note(findings, "RestrictAddressFamilies= forbids AF_UNIX, which syslog takes: use --log stderr");
        return;
    }
    bool is_writable = covered(facts, "ReadWritePaths", log) > 0;
    if (is_yes(facts, "ProtectSystem", value, sizeof value) && !is_writable &&
        (strcmp(value, "strict") == 0 || strncmp(log, "/usr/", 5) == 0 ||
         (strcmp(value, "full") == 0 && strncmp(log, "/etc/", 5) == 0)))
        finding_note(findings, "ProtectSystem=%s: the service can write %s only under ReadWritePaths=", value, log);
    if (is_yes(facts, "ProtectHome", value, sizeof value) && !is_writable &&
        (strncmp(log, "/home/", 6) == 0 || strncmp(log, "/root/", 6) == 0))
        finding_note(findings, "ProtectHome=%s: the service cannot write %s", value, log);
    if (unit_facts_value(facts, "User", user, sizeof user) && strcmp(user, "root") != 0)
        finding_note(findings, "the service writes %s as the user %s, who must be able to", log, user);
}

void unit_sandbox_check(const char *facts, const char *file, const struct options *options, struct findings *findings,
                        struct unit_needs *needs) {
    char value[4096];
    *needs = (struct unit_needs){.exec_path = false};
    check_paths(facts, file, findings, needs);
    check_environment(facts, findings, needs);
    check_filter(facts, options, findings);
    check_log(facts, value_of(options, "LOG"), findings);
    if (is_yes(facts, "MemoryDenyWriteExecute", value, sizeof value))
        finding_good(findings, "MemoryDenyWriteExecute=: the library has no memory that is written and executed");
    if (unit_facts_value(facts, "AppArmorProfile", value, sizeof value))
        finding_note(findings, "AppArmorProfile=%s has to let the service map %s", value, file);
}

void unit_sandbox_check_programs(const char *facts, struct library *library, struct findings *findings) {
    static char value[MOST_VALUE];
    char path[PATH_MAX];
    for (const char *at = facts; unit_facts_next(&at, "ExecStart", value, sizeof value);) {
        struct library its = *library; /* where its loader does not know $LIB, that is another matter than this one's */
        struct program program;
        const char *from = strstr(value, "path=");
        if (!from)
            continue;
        from += strlen("path=");
        snprintf(path, sizeof path, "%.*s", (int)strcspn(from, " ;"), from);
        if (program_inspect(path, &program) != 0 || !program.is_elf)
            continue;
        const char *why = uselessness_of(&program, &its);
        if (why)
            finding_bad(findings, "%s %s: `netdeadline unit --guard` prints a service that bounds it from outside",
                        program.path, why);
        else
            finding_good(findings, "the library works in %s", program.path);
        if (!why && musl_is_for(&program))
            strcpy(library->preload, its.preload);
    }
}
