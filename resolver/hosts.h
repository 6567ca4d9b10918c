/* /etc/hosts, with the answers of glibc's "files" source. Thread-safe; keeps errno. */
#ifndef ND_RESOLVER_HOSTS_H
#define ND_RESOLVER_HOSTS_H

#include "resolver/host.h"

/* Look `name` up, case ignored. AF_UNSPEC: addresses of both families in the order of the file, canonical name of the
 * first line (glibc's gethostbyname4). AF_INET, AF_INET6: that family, where ::1 and ::ffff:a.b.c.d lines count for
 * AF_INET too. `multi`: all lines that have the name, else only the first. Fills a freshly initialized `host`. */
void nd_hosts_by_name(struct nd_host *host, const char *name, int family, bool multi);

/* The first line with this address. */
void nd_hosts_by_address(struct nd_host *host, const void *address, int family);

#endif
