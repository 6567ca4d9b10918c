#include "shim/socket/watch.h"

_Atomic uint8_t nd_watch_fast[ND_WATCH_FAST];
