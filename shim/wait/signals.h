/* Whether an interrupted call continues: SO_RCVTIMEO and poll make the kernel report interruptions that a plain
 * blocking call would not have returned. Everything here is async-signal-safe. */
#pragma once

#include <signal.h>
#include <stdbool.h>

/* Whether a plain blocking call would have continued after the interruption that just happened: no handler is installed
 * for any signal that this thread does not block, or every handler has SA_RESTART. With a mixture the kernel does not
 * say which handler ran; the result is then false, so that programs that end their calls by alarm() still can. 65
 * system calls of 160 ns, made only after an interruption. Keeps errno. */
bool nd_signals_restart(void);

struct nd_signals_held {
    bool any;
    sigset_t mask; /* the signals that were blocked before */
};

/* Blocks this thread's signals, except those that its own faults raise, until nd_signals_let_go. For one ppoll of the
 * program's that is made as several: after each of them the kernel restores the outer mask, so that a handler which the
 * mask of the program's ppoll blocks would run in the middle of it, and one that runs between two of them would
 * interrupt neither. Does nothing where held->any is set. Errno is undefined after both. */
void nd_signals_hold(struct nd_signals_held *held);
void nd_signals_let_go(const struct nd_signals_held *held);
