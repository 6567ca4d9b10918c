/* Lookups made in helper threads by functions of another library that stand in place of libc's (torsocks, proxychains):
 * they may have other results, other rules of ownership, and only some of the functions. Calls are not joined. */
#pragma once

#include "resolver/helper_calls.h"
#include "resolver/hostent.h"

/* A function that finds a struct hostent, and its arguments; the one that is set is called. */
struct nd_host_call {
    nd_gethostbyname2_r_fn *gethostbyname2_r;
    int (*gethostbyname_r)(const char *, struct hostent *, char *, size_t, struct hostent **, int *);
    nd_gethostbyaddr_r_fn *gethostbyaddr_r;
    struct hostent *(*gethostbyname)(const char *);
    struct hostent *(*gethostbyname2)(const char *, int);
    struct hostent *(*gethostbyaddr)(const void *, socklen_t, int);
    const char *name;
    const void *address;
    socklen_t length;
    int family; /* of the result, also where the function is not told */
};

/* The list is the function's own, which `release` frees; the caller's from here on. EAI_AGAIN at the deadline. */
int nd_others_getaddrinfo(nd_getaddrinfo_fn *function, void (*release)(struct addrinfo *), const char *node,
                          const char *service, const struct addrinfo *hints, struct addrinfo **res,
                          struct nd_lookup *lookup);

/* As the gethostby functions with and without _r: errno, h_errno and TRY_AGAIN at the deadline. */
int nd_others_host_r(const struct nd_host_call *call, struct hostent *entry, char *buffer, size_t size,
                     struct hostent **result, int *h_err, struct nd_lookup *lookup);
struct hostent *nd_others_host(struct nd_static_hostent *storage, const struct nd_host_call *call,
                               struct nd_lookup *lookup);
