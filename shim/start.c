/* The constructor: finds the real functions and the settings, before the program runs. */
#include "shim/mode.h"
#include "shim/real.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "shim/call/direct_send.h"
#include "shim/report/report.h"
#include "shim/report/state.h"
#include "shim/report/unwind.h"
#include "shim/settings/environment.h"
#include "shim/settings/settings.h"
#include "shim/settings/warnings.h"
#include "shim/socket/discover.h"
#include "shim/socket/profile.h"
#include "shim/socket/record.h"

#define DISABLE_FILE "/etc/netdeadline.disable"

#define TABLE(array)                                                                                                   \
    { {(array)}, sizeof(array)[0], sizeof(array) / sizeof(array)[0] }

static struct nd_state nd_state = {
    .magic = ND_STATE_MAGIC,
    .version = ND_STATE_VERSION,
    .size = sizeof(struct nd_state),
    .library = ND_VERSION,
    .operations = TABLE(nd_operation_names),
    .limits = TABLE(nd_limit_names),
    .buckets = TABLE(nd_bucket_ms),
    .slots = TABLE(nd_slots.slot),
    .counters = {{nd_slots.counters}, sizeof(struct nd_counters), ND_SHARDS *ND_OPERATIONS},
    .settings = TABLE(nd_live_rows),
    .wish = {{&nd_live_wish}, sizeof nd_live_wish, 1},
    .watch = TABLE(nd_watch_fast),
    .shards = ND_SHARDS,
    .watch_all = ND_WATCH_IN | ND_WATCH_OUT | ND_WATCH_WAIT,
};
extern struct nd_state netdeadline_state ND_EXPORT __attribute__((alias("nd_state")));

/* LD_PRELOAD and /etc/ld.so.preload together, or two versions: the first in the search order does the work. */
static bool second_copy(void) {
    const void *first = dlsym(RTLD_DEFAULT, "netdeadline_state");
    return first && first != &nd_state;
}

/* musl loads the library, too, with its own libc in the place of glibc's, and ends the program where a symbol is missing. So
 * what musl lacks is referred to weakly, and nothing is done there: a program that only inherited LD_PRELOAD runs on. */
#pragma weak gnu_get_libc_version

/* What pthread_atfork of glibc's static part calls, which would refer to it strongly. */
extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *) __attribute__((weak));
extern void *__dso_handle __attribute__((visibility("hidden")));

static bool disabled(void) {
    struct stat st;
    return stat(DISABLE_FILE, &st) == 0 && st.st_uid == 0;
}

/* The names of the program are asked for only where somebody wants them: one system call. */
static void read_rules(struct nd_warnings *complaints) {
    struct nd_program program = {{""}};
    bool secure = getauxval(AT_SECURE) != 0;
    /* A set-uid program does not take its limits, or a file to write to, from its user. */
    char *const *environment = secure ? NULL : environ;
    const char *path = environment ? nd_settings_variable(environment, "CONFIG") : NULL;
    bool is_named = path && path[0];
    bool lists =
        environment && (nd_settings_variable(environment, "ONLY") || nd_settings_variable(environment, "SKIP"));
    nd_rules_start(&nd_rules, &nd_settings, &program, is_named ? path : ND_RULES_FILE, nd_warnings_add, complaints);
    int fd = nd_rules_open_file(&nd_rules, secure, !is_named);
    if (fd >= 0 || lists)
        nd_program_this(&program, secure);
    if (fd >= 0)
        nd_rules_read_file(&nd_rules, fd);
    nd_rules_take_environment(&nd_rules, environment);
    nd_rules_finish(&nd_rules);
    nd_rules.program = NULL;
    nd_profile_start();
}

static void read_settings(void) {
    struct nd_warnings complaints;
    nd_settings_defaults(&nd_settings);
    nd_warnings_start(&complaints);
    read_rules(&complaints);
    if (nd_rules_pass(&nd_rules)) { /* ONLY, SKIP: this program is not even told what is wrong */
        nd_settings.mode = ND_MODE_OFF;
        return;
    }
    const char *line = nd_warnings_line(&complaints);
    if (line && nd_settings.log == ND_LOG_OFF) /* later nobody remembers what descriptor 2 was */
        nd_report_notice(line);
    nd_report_start();
    if (line && nd_settings.log != ND_LOG_OFF)
        nd_report_notice(line);
    if (nd_settings.backtrace && !nd_unwind_load())
        nd_report_notice("netdeadline: NETDEADLINE_BACKTRACE has no effect: libunwind is not installed");
}

static void forked(void) {
    nd_process = getpid();
    nd_slots_forked();
}

__attribute__((constructor(101))) static void start(void) {
    nd_find_real();
    if (!gnu_get_libc_version || second_copy() || disabled())
        return;
    read_settings();
    nd_live_start();
    nd_observing = nd_settings.mode == ND_MODE_OBSERVE;
    nd_active = nd_settings.mode != ND_MODE_OFF;
    if (nd_active) {
        nd_direct_send_start();
        nd_slots_start();
        nd_process = getpid();
        __register_atfork(NULL, NULL, forked, &__dso_handle);
        nd_discover_inherited();
    }
    nd_state.active = nd_active;
}
