/* What an interrupted call must do: SO_RCVTIMEO and poll make the kernel report interruptions that the program would not
 * have seen from a plain blocking call. */
#ifndef ND_WAIT_SIGNALS_H
#define ND_WAIT_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* True where a plain blocking call would have gone on after the interruption that just happened: no handler is installed
 * for any signal this thread lets through, or every one has SA_RESTART. With a mixture the kernel does not tell which ran;
 * then false, so that programs that end their calls by alarm() still can. 65 system calls of 160 ns, made only after an
 * interruption. Async-signal-safe; keeps errno. */
bool nd_signals_restart(void);

struct nd_signals_held {
    bool any;
    sigset_t mask; /* what was blocked before */
};

/* Blocks this thread's signals, but for its own faults, until nd_signals_let_go: for a wait under a mask (ppoll) of which we
 * make several. After each the kernel puts the outer mask back, and a handler that the program's mask keeps out for the whole
 * wait would run in the middle of it; one that ran between two waits would not interrupt either. With held.any set it does
 * nothing. Both are async-signal-safe; errno undefined. */
void nd_signals_hold(struct nd_signals_held *held);
void nd_signals_let_go(const struct nd_signals_held *held);

#endif
