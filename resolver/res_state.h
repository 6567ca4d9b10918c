/* The program's own resolver state (_res, or the one it gives to res_n… functions) as a configuration. */
#ifndef ND_RESOLVER_RES_STATE_H
#define ND_RESOLVER_RES_STATE_H

#include <resolv.h>

#include "resolver/resolv_conf.h"

/* What `state` says: servers, search list, ndots, retrans, retry, options. NULL: no memory. */
struct nd_resolv_conf *nd_conf_from_state(const struct __res_state *state);

/* For the functions that take no state: the file's configuration, with what the program changed in `_res` after
 * res_init. A server list that the file has had counts as unchanged, so that a new resolv.conf is seen. */
struct nd_resolv_conf *nd_conf_for_res(const struct __res_state *res);

#endif
