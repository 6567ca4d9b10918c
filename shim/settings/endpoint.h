/* The remote end of a connection, as a section of the config file names it. All functions are async-signal-safe. */
#pragma once

#include <netinet/in.h>
#include <stdint.h>

#include "base/words.h"

enum nd_endpoint_kind {
    ND_ENDPOINT_ANY,     /* any host */
    ND_ENDPOINT_ADDRESS, /* the addresses that begin with `bits` bits of `address` */
    ND_ENDPOINT_NAME,    /* the addresses that the host name `text` was resolved to */
    ND_ENDPOINT_PATH     /* the AF_UNIX socket `text` */
};

struct nd_endpoint {
    enum nd_endpoint_kind kind;
    uint16_t port; /* 0 for any */
    uint8_t bits;
    struct in6_addr address; /* IPv4 as ::ffff:a.b.c.d, and 96 added to `bits` */
    struct nd_word text;     /* may have wildcards; points into the text that was parsed */
};

/* Parses `192.0.2.1`, `10.0.0.0/8:5432`, `2001:db8::/32`, `[2001:db8::1]:443`, `db.example.com`, `*.example.com:443`,
 * `*:443`, `:443`, `*`, `unix:/run/x.sock`, `unix:@abstract`. Returns NULL, or what is wrong with the text. */
const char *nd_endpoint_parse(struct nd_word word, struct nd_endpoint *where);

/* How exactly an endpoint names the host: from 0 for any host to ND_ENDPOINT_MOST_NARROW. */
#define ND_ENDPOINT_MOST_NARROW 1000
unsigned nd_endpoint_narrowness(const struct nd_endpoint *where);

/* A socket address in the form that is compared. nd_endpoint_address_of returns false for families other than AF_INET
 * and AF_INET6. */
struct nd_endpoint_address {
    struct in6_addr address;
    uint16_t port;
};
/* Parses `192.0.2.1:80` or `[2001:db8::1]:80`: one address and its port. Returns false for anything else. */
bool nd_endpoint_parse_address(const char *text, struct nd_endpoint_address *out);
bool nd_endpoint_address_of(const struct sockaddr *address, socklen_t length, struct nd_endpoint_address *out);

/* Whether the endpoint includes an address. False for names and paths. The port is not compared. */
bool nd_endpoint_has_address(const struct nd_endpoint *where, const struct in6_addr *address);

/* Whether `name` is an address in text. Programs convert an address to text and back: such a name does not show whose
 * address it is. */
bool nd_endpoint_is_numeric(const char *name);

/* Whether the endpoint is a host name that matches `name`. */
bool nd_endpoint_has_name(const struct nd_endpoint *where, const char *name);

/* Whether the endpoint includes the AF_UNIX address. */
bool nd_endpoint_has_path(const struct nd_endpoint *where, const struct sockaddr *address, socklen_t length);

static inline bool nd_endpoint_has_port(const struct nd_endpoint *where, uint16_t port) {
    return where->port == 0 || where->port == port;
}
