#include "resolver/libc_version.h"

#include <gnu/libc-version.h>
#include <stdlib.h>
#include <string.h>

#pragma weak gnu_get_libc_version /* musl has none */

bool nd_libc_before(int minor) {
    const char *version = gnu_get_libc_version ? gnu_get_libc_version() : "";
    return strncmp(version, "2.", 2) == 0 && atoi(version + 2) < minor;
}
