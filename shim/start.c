/* The constructor: finds the real functions and reads the settings before the program runs. */
#include "shim/real.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/libc.h"
#include "base/valgrind.h"
#include "resolver/lock.h"
#include "shim/call/direct_send.h"
#include "shim/hook/take_over.h"
#include "shim/mode.h"
#include "shim/next.h"
#include "shim/own_calls.h"
#include "shim/raw.h"
#include "shim/report/report.h"
#include "shim/report/state.h"
#include "shim/report/unwind.h"
#include "shim/settings/environment.h"
#include "shim/settings/warnings.h"
#include "shim/socket/discover.h"
#include "shim/socket/hand_on.h"
#include "shim/socket/owner.h"
#include "shim/socket/profile.h"
#include "shim/socket/record.h"
#include "shim/symbols.h"

#define DISABLE_FILE "/etc/netdeadline.disable"

static struct nd_state nd_state = {
    ND_STATE_FIELDS(nd_watch_fast),
    .watch_all = ND_WATCH_IN | ND_WATCH_OUT | ND_WATCH_WAIT,
    .records = ND_STATE_TABLE(nd_sock_table.first_chunk),
    .chunks = ND_STATE_TABLE(nd_sock_table.chunks),
    .profiles = ND_STATE_TABLE(nd_profiles),
};
extern struct nd_state netdeadline_state ND_EXPORT __attribute__((alias("nd_state")));

/* Whether the library is loaded twice, by LD_PRELOAD and /etc/ld.so.preload, or in two versions: only the first in the
 * search order works. */
static bool is_second_copy(void) {
    return nd_symbols_earlier("netdeadline_state", &nd_state);
}

/* What pthread_atfork calls. That one is in glibc's static part, and would refer to this function strongly; musl has it
 * alone. */
extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *) __attribute__((weak));
/* By it libc tells apart who has registered. gcc's start files would define it; this library is linked without them
 * (Makefile). */
__attribute__((visibility("hidden"))) void *__dso_handle = &__dso_handle;

extern const char __ehdr_start[] __attribute__((visibility("hidden")));

static bool is_disabled(void) {
    struct stat st;
    if (nd_raw_call(SYS_faccessat, AT_FDCWD, (long)DISABLE_FILE, F_OK, 0, 0, 0) == -ENOENT)
        return false; /* as nearly everywhere, without touching libc's pages with stat */
    return stat(DISABLE_FILE, &st) == 0 && st.st_uid == 0;
}

/* Finds the names of the program, which takes a system call, only where something depends on them. */
static void read_rules(struct nd_warnings *warnings) {
    struct nd_program program = {{""}};
    bool secure = getauxval(AT_SECURE) != 0;
    /* A set-uid program takes neither limits nor the path of a log file from its user. */
    char *const *environment = secure ? NULL : environ;
    const char *path = environment ? nd_settings_variable(environment, "CONFIG") : NULL;
    bool is_named = path && path[0];
    bool has_lists =
        environment && (nd_settings_variable(environment, "ONLY") || nd_settings_variable(environment, "SKIP"));
    nd_rules_start(&nd_rules, &nd_settings, &program, is_named ? path : ND_RULES_FILE, nd_warnings_add, warnings);
    int fd = nd_rules_open_file(&nd_rules, secure, !is_named);
    if (fd >= 0 || has_lists)
        nd_program_this(&program, secure);
    if (fd >= 0)
        nd_rules_read_file(&nd_rules, fd);
    nd_rules_take_environment(&nd_rules, environment);
    nd_rules_finish(&nd_rules);
    nd_rules.program = NULL;
    nd_profile_start();
}

static void read_settings(void) {
    struct nd_warnings warnings;
    nd_settings_defaults(&nd_settings);
    nd_warnings_start(&warnings);
    read_rules(&warnings);
    if (nd_rules_pass(&nd_rules)) { /* ONLY and SKIP leave the program out: it prints no warning either */
        nd_settings.mode = ND_MODE_OFF;
        return;
    }
    const char *line = nd_warnings_line(&warnings);
    if (line && nd_settings.log == ND_LOG_OFF) /* must come before nd_report_start */
        nd_report_notice(line);
    nd_report_start();
    if (line && nd_settings.log != ND_LOG_OFF)
        nd_report_notice(line);
    if (nd_settings.backtrace && !nd_unwind_load())
        nd_report_notice("netdeadline: NETDEADLINE_BACKTRACE has no effect: libunwind is not installed");
}

/* Threads read and write the library's tables without locks. */
static void tell_valgrind(void) {
    const ElfW(Ehdr) *file = (const void *)__ehdr_start;
    const ElfW(Phdr) *header = (const void *)(__ehdr_start + file->e_phoff);
    for (int i = 0; i < file->e_phnum; i++)
        if (header[i].p_type == PT_LOAD && header[i].p_flags & PF_W)
            nd_valgrind_untrack((uintptr_t)__ehdr_start + header[i].p_vaddr, header[i].p_memsz);
}

static void forked(void) {
    nd_process = getpid();
    nd_slots_forked();
    if (nd_sock_any)
        nd_owner_note();
}

static void watch_fork(void) {
    int (*watch)(void (*)(void), void (*)(void), void (*)(void));
    if (__register_atfork)
        __register_atfork(NULL, nd_hand_on_forked, forked, &__dso_handle);
    else if ((*(void **)&watch = nd_libc_musl_function("pthread_atfork")) != NULL)
        watch(NULL, nd_hand_on_forked, forked);
}

static void start_up(void) {
    nd_find_real();
    if (is_second_copy() || is_disabled())
        return;
    read_settings();
    nd_live_start();
    nd_observing = nd_settings.mode == ND_MODE_OBSERVE;
    nd_active = nd_settings.mode != ND_MODE_OFF;
    if (nd_active) {
        tell_valgrind();
        nd_next_start();
        nd_direct_send_start();
        nd_lock_process = (const uint32_t *)&nd_slots.wiped_process;
        nd_process = (pid_t)nd_raw_getpid();
        watch_fork();
        if (nd_libc_is_musl())
            nd_libc_musl_version(); /* asks the loader, which a child of a program with threads should not */
        nd_discover_inherited();
    }
    nd_state.active = nd_active;
    nd_state.take_over = nd_take_over_from(&nd_state);
}

/* Called by the constructor; before it, where a constructor of a library that the program is linked with creates a
 * socket or looks up a name. C promises an errno of 0 when main begins. */
static void start(void) {
    static atomic_flag has_started ND_WRITTEN_AT_START = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&has_started))
        return;
    nd_own_calls_bind();
    int saved = errno;
    start_up();
    errno = saved;
}

void (*const nd_start_early)(void) = start;

__attribute__((constructor(101))) static void construct(void) {
    start();
}
