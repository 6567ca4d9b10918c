/* /etc/services, with the answers of glibc's "files" source. */
#pragma once

#include <stddef.h>

/* Returns the port (host byte order) of service `name` for `protocol` ("tcp"), or -1. */
int nd_service_port(const char *name, const char *protocol);

/* Copies the name of the service at `port` (host byte order) for `protocol` to `name`. Returns 0, -1: there is none, or
 * -2: it does not fit in `size` bytes. */
int nd_service_name(char *name, size_t size, int port, const char *protocol);
