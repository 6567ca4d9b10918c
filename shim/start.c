/* The constructor: finds the real functions and the settings, before the program runs. */
#include "shim/start.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/hook.h"
#include "shim/real.h"
#include "shim/report.h"
#include "shim/settings.h"
#include "shim/state.h"
#include "shim/unwind.h"

#define DISABLE_FILE "/etc/netdeadline.disable"

bool nd_active;
bool nd_observing;
pid_t nd_process;

static struct nd_state nd_state = {ND_STATE_MAGIC, ND_STATE_VERSION, sizeof(struct nd_state), &nd_settings};
extern struct nd_state netdeadline_state ND_EXPORT __attribute__((alias("nd_state")));

/* LD_PRELOAD and /etc/ld.so.preload together, or two versions: the first in the search order does the work. */
static bool second_copy(void) {
    const void *first = dlsym(RTLD_DEFAULT, "netdeadline_state");
    return first && first != &nd_state;
}

static bool disabled(void) {
    struct stat st;
    return stat(DISABLE_FILE, &st) == 0 && st.st_uid == 0;
}

static void read_settings(void) {
    struct nd_complaints complaints;
    nd_settings_defaults(&nd_settings);
    nd_complaints_start(&complaints);
    if (!getauxval(AT_SECURE)) /* a set-uid program does not take its limits, or a file to write to, from its user */
        nd_settings_from_environment(&nd_settings, environ, nd_complaints_add, &complaints);
    const char *line = nd_complaints_line(&complaints);
    if (line && nd_settings.log == ND_LOG_OFF) /* later nobody remembers what descriptor 2 was */
        nd_report_notice(line);
    nd_report_start();
    if (line && nd_settings.log != ND_LOG_OFF)
        nd_report_notice(line);
    if (nd_settings.backtrace && !nd_unwind_load())
        nd_report_notice("netdeadline: NETDEADLINE_BACKTRACE has no effect: libunwind.so.8 is not installed");
}

static void forked(void) {
    nd_process = getpid();
}

__attribute__((constructor(101))) static void start(void) {
    nd_find_real();
    if (second_copy() || disabled())
        return;
    read_settings();
    if (nd_settings.outbound.recv || nd_settings.inbound.recv || nd_settings.outbound.send ||
        nd_settings.inbound.send) {
        forked();
        pthread_atfork(NULL, NULL, forked);
    }
    nd_observing = nd_settings.mode == ND_MODE_OBSERVE;
    nd_active = nd_settings.mode != ND_MODE_OFF;
}
