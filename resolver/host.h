/* What a source of names (the hosts file, DNS) says about one name: the common form from which addrinfo lists and
 * hostents are made. */
#ifndef ND_RESOLVER_HOST_H
#define ND_RESOLVER_HOST_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As enum nss_status: getaddrinfo's error codes follow from this and h_errno. */
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
    struct nd_address *addresses; /* few, or malloc'ed: do not copy the struct */
    size_t count;
    char **names; /* the names in the order they were met, the canonical one not among them */
    size_t name_count;
    char *canonical;          /* NULL when none was said */
    bool no_memory;           /* something was left out */
    struct nd_address few[4]; /* most hosts have no more: no allocation for them */
};

void nd_host_init(struct nd_host *host);
void nd_host_free(struct nd_host *host);

/* Add a copy; on lack of memory set no_memory. */
void nd_host_add_address(struct nd_host *host, int family, const void *bytes);
void nd_host_add_name(struct nd_host *host, const char *name, size_t length);
void nd_host_set_canonical(struct nd_host *host, const char *name, size_t length);

#endif
