/* The result of one source of names (the hosts file, DNS) for one name, from which addrinfo lists and hostents are
 * made. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The values of enum nss_status; with h_errno they determine getaddrinfo's error code. */
enum nd_status { ND_TRYAGAIN = -2, ND_UNAVAIL = -1, ND_NOTFOUND = 0, ND_SUCCESS = 1 };

struct nd_address {
    int family; /* AF_INET or AF_INET6 */
    uint32_t scope;
    unsigned char bytes[16];
};

struct nd_host {
    enum nd_status status;
    int h_err;                    /* h_errno's value */
    int sys_err;                  /* errno's value, where h_err is NETDB_INTERNAL */
    struct nd_address *addresses; /* `few`, or malloc'ed: the struct must not be copied */
    size_t count;
    char **names; /* the aliases, in the order in which they were found */
    size_t name_count;
    char *canonical;          /* NULL: none was found */
    bool no_memory;           /* out of memory: the result is incomplete */
    bool keeps_h_errno;       /* libc leaves h_errno as it was, where the hosts file has the name */
    struct nd_address few[4]; /* most hosts have no more and need no allocation */
};

/* Makes an empty result: not found. */
void nd_host_init(struct nd_host *host);

/* Frees what the result holds, and makes it empty. */
void nd_host_free(struct nd_host *host);

/* Has the value that the source before set stand, where this one keeps it; 0: it is the first one. */
void nd_host_keep_h_errno(struct nd_host *host, int before);

/* Each adds a copy; no_memory is set where there is no memory for it. */
void nd_host_add_address(struct nd_host *host, int family, const void *bytes);
void nd_host_add_name(struct nd_host *host, const char *name, size_t length);
void nd_host_set_canonical(struct nd_host *host, const char *name, size_t length);
