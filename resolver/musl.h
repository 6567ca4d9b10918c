/* Lookups in programs of musl, with its rules and answers: no nsswitch, the hosts file before DNS, all name servers at
 * once. They differ by musl's version (nd_libc_musl_version). What is only text or numbers (inet_aton, strtoul) is
 * parsed by libc's own functions, which are musl's there. The files are read at each lookup, as musl does it. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/libc.h"
#include "resolver/resolv_conf.h"
#include "resolver/resolver.h"

#define ND_MUSL_ADDRESSES 48 /* of one name, at most */
#define ND_MUSL_SERVICES 2   /* of one name of a service */
#define ND_MUSL_NAME 256     /* of a host, with its NUL */

struct nd_musl_address {
    int family;
    uint32_t scope;
    unsigned char bytes[16];
};

struct nd_musl_service {
    unsigned short port; /* host byte order */
    unsigned char protocol, socktype;
};

/* From 1.2.2 on (some of it from 1.2.1): both of two answers must be there, res_query says why it fails, questions of
 * the program's own ask for AD, and a name that the hosts file has several times is called as its first line does. */
static inline bool nd_musl_needs_both(void) {
    return nd_libc_musl_version() >= 10202;
}

/* From 1.2.4 on: TCP where an answer is truncated, EAI_NODATA, and answers that are read more carefully. */
static inline bool nd_musl_has_tcp(void) {
    return nd_libc_musl_version() >= 10204;
}

/* From 1.2.5 on: answers of any length. 1.2.4 asks for the whole one by TCP, and takes of it what it has room for. */
static inline bool nd_musl_takes_long_answers(void) {
    return nd_libc_musl_version() >= 10205;
}

/* EAI_NODATA of a name that has no address of the family, where the version knows that code. */
static inline int nd_musl_no_data(void) {
    return nd_musl_has_tcp() ? EAI_NODATA : EAI_NONAME;
}

/* As isspace(3) in any locale of musl's. */
static inline bool nd_musl_is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Parses a numeric address. Returns 1, 0 where it is none, or an EAI_ code. */
int nd_musl_numeric(struct nd_musl_address *address, const char *text, int family);

/* Writes an address of the family as an IPv6 one; an IPv4 address goes behind the prefix of those that stand for them. */
void nd_musl_as_v6(unsigned char to[16], int family, const void *bytes);

/* Makes the socket address. Returns its size. */
socklen_t nd_musl_sockaddr(union nd_server *to, const struct nd_musl_address *address, unsigned short port);

/* Finds the addresses of `name` (NULL: of the host itself), with the AI_ flags of getaddrinfo, in the order in which the
 * program gets them, and the name's canonical name. Returns their number or an EAI_ code. */
int nd_musl_find(struct nd_musl_address found[ND_MUSL_ADDRESSES], char canonical[ND_MUSL_NAME], const char *name,
                 int family, int flags, struct nd_lookup *lookup);

/* Finds the ports of a service. Returns their number or an EAI_ code. */
int nd_musl_services(struct nd_musl_service found[ND_MUSL_SERVICES], const char *name, int protocol, int socktype,
                     int flags);

/* The service that has `port`, in the hosts file's sibling; "" where there is none. */
void nd_musl_service_of(char name[ND_MUSL_NAME], int port, bool datagram);

/* Puts the addresses into the order of RFC 3484 as musl has it. */
void nd_musl_sort(struct nd_musl_address *addresses, int count);

/* getaddrinfo(3). The list is one block, as musl lays it out, which its freeaddrinfo frees. */
int nd_musl_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res,
                        struct nd_lookup *lookup);

/* getnameinfo(3). Where DNS says nothing in time, the program gets the number, as from musl. */
int nd_musl_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size,
                        char *service, socklen_t service_size, int flags, struct nd_lookup *lookup);

/* The gethostby functions, with their results in `buffer`. */
int nd_musl_gethostbyname2_r(const char *name, int family, struct hostent *entry, char *buffer, size_t size,
                             struct hostent **result, int *h_err, struct nd_lookup *lookup);
int nd_musl_gethostbyaddr_r(const void *address, socklen_t length, int family, struct hostent *entry, char *buffer,
                            size_t size, struct hostent **result, int *h_err, struct nd_lookup *lookup);

/* The same with results in memory of their own, which the next call frees. */
struct hostent *nd_musl_gethostbyname2(const char *name, int family, struct nd_lookup *lookup);
struct hostent *nd_musl_gethostbyaddr(const void *address, socklen_t length, int family, struct nd_lookup *lookup);

/* res_query and res_search (the same in musl), res_querydomain, res_send. */
struct nd_res_call;
int nd_musl_res(const struct nd_res_call *call, struct nd_lookup *lookup);
