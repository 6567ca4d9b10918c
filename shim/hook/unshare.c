/* unshare, close_range: note that the calling thread has left the descriptor table that it shared with the other
 * threads. What it closes from then on stays open in theirs. */
#include <sched.h>

#include "shim/hook/hook.h"
#include "shim/socket/owner.h"

#define CLOSE_RANGE_OWN_TABLE (1U << 1) /* CLOSE_RANGE_UNSHARE, which older headers lack */

int nd_hook_unshare(int flags) {
    int result = nd_real.unshare(flags);
    if (result == 0 && (flags & CLONE_FILES))
        nd_owner_unshared();
    return result;
}

int nd_hook_close_range(unsigned first, unsigned last, int flags) {
    int result = nd_real.close_range(first, last, flags);
    if (result == 0 && ((unsigned)flags & CLOSE_RANGE_OWN_TABLE))
        nd_owner_unshared();
    return result;
}
