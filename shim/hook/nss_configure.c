/* __nss_configure_lookup: a program names its own sources, as `getent -s` does. They hold for the lookups made here,
 * too. */
#include "resolver/nsswitch.h"
#include "shim/hook/hook.h"

int nd_hook___nss_configure_lookup(const char *database, const char *line) {
    int result = nd_real.__nss_configure_lookup(database, line);
    if (result == 0)
        nd_nsswitch_configure(database, line);
    return result;
}
