/* These stand apart from the constructor: a unit test that links code which reads them must not start the library. */
#include "shim/mode.h"

#include <stddef.h>

#include "base/compiler.h"

_Atomic bool nd_active ND_WRITTEN_AT_START;
_Atomic bool nd_filter_everywhere;
_Atomic bool nd_observing ND_WRITTEN_AT_START;
pid_t nd_process ND_WRITTEN_AT_START;

static const char zero = 0;
const char *nd_one_thread = &zero;

__attribute__((weak)) void (*const nd_start_early)(void) = NULL;
