/* The wait of a lookup for a socket of its own. */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "resolver/own_sockets.h"
#include "resolver/unfinished.h"

/* Waits until `fd`, one of `own`, is ready for `events`. False: not before the deadline, or the program has closed it,
 * or taken its number for another file. What came while the process was stopped counts after the deadline, too. While
 * it waits the lookup may be left by a jump, or cancelled. */
bool nd_socket_wait(struct nd_unfinished *unfinished, const struct nd_own_sockets *own, int fd, short events,
                    nd_time deadline);
