/* Makes a configuration from the program's resolver state: _res, or the one that it gives to res_n… functions. */
#ifndef ND_RESOLVER_RES_STATE_H
#define ND_RESOLVER_RES_STATE_H

#include <resolv.h>

#include "resolver/resolv_conf.h"

/* Returns the configuration in `state`: servers, search list, ndots, retrans, retry, options. NULL: out of memory. */
struct nd_resolv_conf *nd_conf_from_state(const struct __res_state *state);

/* For the functions without a state argument: the configuration in `_res` where it is initialized, else the file's. A
 * server list in `_res` that the file has had counts as unchanged, and is replaced by the file's current one. */
struct nd_resolv_conf *nd_conf_for_res(const struct __res_state *res);

#endif
