/* The connection to a name server that RES_STAYOPEN keeps in a resolver state, for questions by TCP. As in libc the
 * state owns the descriptor: res_nclose and the end of the thread close it. */
#pragma once

#include "resolver/dns_ask.h"

/* Where the state keeps its connection, `conf`, which is of that state alone, is for questions over it. Where it does so
 * no more, the connection is closed. Keeps errno. */
void nd_connection_keep(struct nd_resolv_conf *conf, struct __res_state *state);

/* Asks the first server over the connection that ask->conf->keeper keeps, or a new one that it keeps from here on.
 * Fills in the answers as nd_ask does. False: there is none to keep, or not every question has been answered in the
 * server's part of the time; the connection is closed then, and nd_ask is to be called. */
bool nd_connection_ask(struct nd_ask *ask);
