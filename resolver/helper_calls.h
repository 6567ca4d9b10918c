/* Lookups made by libc's own functions in helper threads. The first argument is libc's function. Results, errno and
 * h_errno are libc's; EAI_AGAIN or TRY_AGAIN at the deadline. */
#pragma once

#include "resolver/resolver.h"

typedef int nd_getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);
typedef int nd_gethostbyname2_r_fn(const char *, int, struct hostent *, char *, size_t, struct hostent **, int *);
typedef int nd_gethostbyaddr_r_fn(const void *, socklen_t, int, struct hostent *, char *, size_t, struct hostent **,
                                  int *);
typedef int nd_getnameinfo_fn(const struct sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int);

int nd_helper_getaddrinfo(nd_getaddrinfo_fn *real, const char *node, const char *service, const struct addrinfo *hints,
                          struct addrinfo **res, struct nd_lookup *lookup);
int nd_helper_gethostbyname2_r(nd_gethostbyname2_r_fn *real, const char *name, int family, struct hostent *entry,
                               char *buffer, size_t size, struct hostent **result, int *h_err,
                               struct nd_lookup *lookup);
int nd_helper_gethostbyaddr_r(nd_gethostbyaddr_r_fn *real, const void *address, socklen_t length, int family,
                              struct hostent *entry, char *buffer, size_t size, struct hostent **result, int *h_err,
                              struct nd_lookup *lookup);
struct hostent *nd_helper_gethostbyname2(nd_gethostbyname2_r_fn *real, const char *name, int family,
                                         struct nd_lookup *lookup);
struct hostent *nd_helper_gethostbyaddr(nd_gethostbyaddr_r_fn *real, const void *address, socklen_t length, int family,
                                        struct nd_lookup *lookup);
int nd_helper_getnameinfo(nd_getnameinfo_fn *real, const struct sockaddr *address, socklen_t length, char *host,
                          socklen_t host_size, char *service, socklen_t service_size, int flags,
                          struct nd_lookup *lookup);
