/* What start.c decided, in a file without a constructor: plain code reads it, and a unit test must not start the library. */
#include "shim/start.h"

bool nd_active;
_Atomic bool nd_observing;
pid_t nd_process;
