/* Makes a configuration from the program's resolver state: _res, or the one that it gives to res_n… functions. */
#pragma once

#include <resolv.h>

#include "resolver/resolv_conf.h"

/* Returns the configuration in `state`: servers, search list, ndots, retrans, retry, options. A state that libc has
 * made from resolv.conf has the first domains of the search list only; the others are added. NULL: out of memory. */
struct nd_resolv_conf *nd_conf_from_state(struct __res_state *state);

/* For the functions without a state argument: the configuration in the thread's _res, which is set up, or renewed after
 * resolv.conf has changed, as libc does before it asks. `for_send`: for res_send, which sets it up in another way. */
struct nd_resolv_conf *nd_conf_for_res(bool for_send);

/* For getaddrinfo and gethostbyname: the file's configuration or, in a thread where _res is set up, that in _res, which
 * the program may have changed. */
struct nd_resolv_conf *nd_conf_for_lookup(void);

/* Whose _res of this thread is: it is not set up, or as resolv.conf has it, by which libc renews it; or the program has
 * changed it: the options alone, or the servers, the search list or the sortlist. */
enum nd_state_of { ND_STATE_OF_FILE, ND_STATE_OPTIONS_OF_PROGRAM, ND_STATE_OF_PROGRAM };
enum nd_state_of nd_state_of_thread(void);

/* Has libc set up this thread's _res. Keeps errno and h_errno. */
bool nd_state_set_up(void);
