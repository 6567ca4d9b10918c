#include "shim/socket/owner.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/compiler.h"
#include "shim/mode.h"
#include "shim/raw.h"
#include "shim/report/slots.h"

__thread bool nd_owner_left_table __attribute__((tls_model("initial-exec")));

/* nd_slots is zeroed by the kernel in a child with memory of its own (MADV_WIPEONFORK), also where no handler of
 * pthread_atfork ran (_Fork, a raw clone), and not in one that shares this memory. */
static bool has_own_memory(void) {
    return atomic_load_explicit(&nd_slots.process, memory_order_relaxed) == 0;
}

bool nd_owner_is_caller(void) {
    if (nd_owner_left_table)
        return false;
    const pid_t process = (pid_t)nd_raw_getpid();
    if (nd_likely(process == nd_process) || process < 0 || !nd_process)
        return true;
    if (!has_own_memory())
        return false;
    nd_process = process;
    nd_owner_note();
    return true;
}

void nd_owner_note(void) {
    nd_slots_use((uint32_t)nd_process);
}

static bool has_other_threads(void) {
    struct stat tasks;
    if (*nd_one_thread)
        return false;
    return stat("/proc/self/task", &tasks) != 0 || tasks.st_nlink > 3; /* itself, its parent, and each thread */
}

void nd_owner_unshared(void) {
    const int saved = errno;
    if (nd_process && has_other_threads() && nd_owner_is_caller())
        nd_owner_left_table = true;
    errno = saved;
}
