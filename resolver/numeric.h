/* Parses numeric addresses and scopes, in all the forms that glibc's getaddrinfo accepts. Keeps errno. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* Parses inet_aton(3)'s forms (127.1, 0x7f000001, 017700000001 …) with nothing after them. */
bool nd_parse_ipv4(const char *text, struct in_addr *address);

/* Parses a scope: an interface's name, where `address` has link or node scope, or a number. */
bool nd_parse_scope(const struct in6_addr *address, const char *text, uint32_t *scope);

/* Parses an IPv6 address with its scope, if there is one, after a '%'. False: not an address; *scope_good: whether the
 * scope is valid. */
bool nd_parse_ipv6(const char *text, struct in6_addr *address, uint32_t *scope, bool *scope_good);
