#include "cli/check_host.h"

#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "resolver/nsswitch.h"
#include "shim/settings/environment.h"
#include "shim/settings/rules.h"
#include "shim/settings/settings.h"

bool check_is_preloaded_everywhere(void) {
    FILE *file = fopen("/etc/ld.so.preload", "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    while (file && getline(&line, &room, file) > 0) {
        line[strcspn(line, "#")] = '\0';
        found |= strstr(line, "/libnetdeadline.so") != NULL;
    }
    free(line);
    if (file)
        fclose(file);
    return found;
}

/* Known hangs, and worse, of glibc's own lookups, each up to the version that fixed it. */
static const struct {
    int fixed_in; /* the minor version, 2.x; 0: not yet */
    const char *what;
} known_bugs[] = {
    {20, "queries may be written to somebody else's descriptor (BZ 15946)"},
    {21, "a broken netlink answer makes AI_ADDRCONFIG lookups spin for ever (BZ 12926)"},
    {23, "a long answer overflows the stack (CVE-2015-7547)"},
    {38, "a thread cancelled in a lookup leaves a lock that stops all others (BZ 20975)"},
    {0, "a name server that stays silent over TCP is waited for without end"},
};

static void check_libc(struct findings *findings, bool is_replaced) {
    const char *version = gnu_get_libc_version();
    int minor = strncmp(version, "2.", 2) == 0 ? atoi(version + 2) : 0;
    for (size_t i = 0; i < sizeof known_bugs / sizeof known_bugs[0]; i++)
        if (known_bugs[i].fixed_in == 0 || minor < known_bugs[i].fixed_in)
            finding_note(findings, "glibc %s: %s; %s", version, known_bugs[i].what,
                         is_replaced ? "not so the library's own lookups" : "callers leave at RESOLVE");
}

void check_host(struct findings *findings, bool is_for_musl) {
    struct nd_sources sources;
    const char *reason = is_for_musl ? NULL : nd_nsswitch_hosts(&sources, "host.example.com");
    if (!is_for_musl && !reason)
        reason = sources.rest_why;
    if (access("/etc/netdeadline.disable", F_OK) == 0)
        finding_bad(findings, "/etc/netdeadline.disable exists: every program that starts runs without the library");
    if (is_for_musl) {
        finding_good(findings, "names are looked up with a deadline, as musl does it (/etc/hosts, then DNS)");
        return;
    }
    if (reason)
        finding_note(findings,
                     "names are looked up by libc, in threads that the caller leaves at RESOLVE, where "
                     "/etc/nsswitch.conf or the like asks for it: %s",
                     reason);
    else
        finding_good(findings, "names are looked up with a deadline (/etc/nsswitch.conf)");
    check_libc(findings, reason == NULL);
}

static void take_mistake(const char *text, void *findings) {
    finding_note(findings, "%s", text);
}

void check_config(struct findings *findings, const char *path) {
    static struct nd_rules rules;
    struct nd_settings settings;
    struct nd_program program;
    const char *file = getenv("NETDEADLINE_CONFIG");
    bool is_named = file && file[0];
    nd_program_named(&program, path);
    nd_settings_defaults(&settings);
    nd_rules_start(&rules, &settings, &program, is_named ? file : ND_RULES_FILE, take_mistake, findings);
    int fd = nd_rules_open_file(&rules, false, !is_named);
    if (fd >= 0)
        nd_rules_read_file(&rules, fd);
    nd_rules_take_environment(&rules, environ);
    nd_rules_finish(&rules);
    if (rules.in_skip)
        finding_bad(findings, "SKIP names it: it runs as without the library");
    else if (nd_rules_pass(&rules))
        finding_bad(findings, "ONLY does not name it: it runs as without the library");
    else if (settings.mode == ND_MODE_OFF)
        finding_bad(findings, "MODE is off for it: it runs as without the library");
    else if (settings.mode == ND_MODE_OBSERVE)
        finding_note(findings, "MODE is observe for it: nothing is ended");
    if (fd >= 0)
        finding_good(findings, "%s counts for it: %u sections for single places", rules.file, rules.count);
}
