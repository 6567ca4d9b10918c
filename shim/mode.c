/* In a file without a constructor: plain code reads it, and a unit test must not start the library. */
#include "shim/mode.h"

_Atomic bool nd_active;
_Atomic bool nd_observing;
pid_t nd_process;

static const char several = 0;
const char *nd_one_thread = &several;
