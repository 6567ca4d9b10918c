/* /etc/host.conf, as far as it changes answers, and the environment variables that override it. */
#ifndef ND_RESOLVER_HOST_CONF_H
#define ND_RESOLVER_HOST_CONF_H

#include <stdbool.h>

/* `multi`: whether all lines of the hosts file that have a name count. Returns NULL, or why only libc can answer. */
const char *nd_host_conf(bool *multi);

#endif
