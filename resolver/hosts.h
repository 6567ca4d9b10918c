/* /etc/hosts, with the answers of glibc's "files" source. Thread-safe; keeps errno. */
#pragma once

#include "resolver/host.h"

/* Looks up `name`, ignoring case. AF_UNSPEC: addresses of both families in the order of the file, canonical name of the
 * first line (glibc's gethostbyname4). AF_INET, AF_INET6: that family, where lines with ::1 and ::ffff:a.b.c.d count
 * for AF_INET, too. `multi`: all lines that have the name, else only the first. `host` must be freshly initialized. */
void nd_hosts_by_name(struct nd_host *host, const char *name, int family, bool multi);

/* Finds the first line with this address. */
void nd_hosts_by_address(struct nd_host *host, const void *address, int family);
