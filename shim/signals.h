/* What an interrupted call must do: SO_RCVTIMEO and poll make the kernel report interruptions that the program would not
 * have seen from a plain blocking call. */
#ifndef ND_SIGNALS_H
#define ND_SIGNALS_H

#include <stdbool.h>

/* True where a plain blocking call would have gone on after the interruption that just happened: no handler is installed
 * for any signal this thread lets through, or every one has SA_RESTART. With a mixture the kernel does not tell which ran;
 * then false, so that programs that end their calls by alarm() still can. 65 system calls of 160 ns, made only after an
 * interruption. Async-signal-safe; keeps errno. */
bool nd_signals_restart(void);

#endif
