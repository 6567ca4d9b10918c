/* These stand apart from the constructor: a unit test that links code which reads them must not start the library. */
#include "shim/mode.h"

#include <stddef.h>

_Atomic bool nd_active;
_Atomic bool nd_filter_everywhere;
_Atomic bool nd_observing;
pid_t nd_process;

static const char zero = 0;
const char *nd_one_thread = &zero;

__attribute__((weak)) void (*const nd_start_early)(void) = NULL;
