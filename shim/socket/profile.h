/* Limits of single connections: where the config file has sections for places, each connection that such sections meet has a
 * profile, made of them once. Without such sections nothing here is ever called. Async-signal-safe, lock-free; errno is kept. */
#ifndef ND_SOCKET_PROFILE_H
#define ND_SOCKET_PROFILE_H

#include <sys/socket.h>

#include "shim/settings/rules.h"
#include "shim/settings/settings.h"

/* What the config file says. Written while the library starts. */
extern struct nd_rules nd_rules;

struct nd_profile {
    struct nd_limits limits;
    nd_live_time connect, accept;
    struct nd_rule_set rules;
    _Atomic uint32_t state;
    bool inbound;
};

/* Profile 0 stands for the settings themselves. When the table is full, which is told once in the log, further combinations of
 * sections get these. */
enum { ND_PROFILES = 256 };
extern struct nd_profile nd_profiles[ND_PROFILES];

/* After the settings have been read. */
void nd_profile_start(void);

/* The profile for a connection to the address, or from it: then `fd` is asked for its own. */
uint8_t nd_profile_to(const struct sockaddr *address, socklen_t length);
uint8_t nd_profile_from(int fd);

/* The profile of a listener, by the place it listens at. */
uint8_t nd_profile_listening(int fd);

/* The shortest limit of all sections, ND_NEVER where there is none. */
extern nd_time nd_profile_shortest;

/* Brings the profiles up to date after nd_settings has changed: what was changed holds for every connection. */
void nd_profile_renew(void);

/* RESOLVE as it holds for a name (or NULL). */
nd_time nd_profile_resolve(const char *name);

/* A lookup of `asked` found the host `canonical` (NULL: the same) with these addresses: whoever connects to one of them later
 * means that host. */
struct addrinfo;
struct hostent;
void nd_profile_found(const char *asked, const char *canonical, const struct addrinfo *list);
void nd_profile_found_host(const char *asked, const struct hostent *host);

#endif
