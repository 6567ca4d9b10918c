/* gethostbyname(3), gethostbyaddr(3) and related functions with a deadline, with glibc's results, h_errno and errno.
 * Where libc has to make the lookup, lookup->libc_why is set, and -1 or NULL returned. At the deadline: TRY_AGAIN. */
#pragma once

#include "resolver/resolver.h"

/* gethostbyname2_r; gethostbyname_r is this with AF_INET. */
int nd_gethostbyname2_r(const char *name, int family, struct hostent *entry, char *buffer, size_t size,
                        struct hostent **result, int *h_err, struct nd_lookup *lookup);
int nd_gethostbyaddr_r(const void *address, socklen_t length, int family, struct hostent *entry, char *buffer,
                       size_t size, struct hostent **result, int *h_err, struct nd_lookup *lookup);

/* The forms with a static result; each function has its own. */
struct hostent *nd_gethostbyname(const char *name, struct nd_lookup *lookup);
struct hostent *nd_gethostbyname2(const char *name, int family, struct nd_lookup *lookup);
struct hostent *nd_gethostbyaddr(const void *address, socklen_t length, int family, struct nd_lookup *lookup);
