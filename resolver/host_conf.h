/* /etc/host.conf, as far as it changes answers, and the environment variables that override it. */
#pragma once

#include <stdbool.h>

/* `multi`: whether all lines of the hosts file that have a name count. Returns NULL, or why only libc can answer. */
const char *nd_host_conf(bool *multi);
