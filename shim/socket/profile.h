/* The limits of single connections. Each connection to which sections of the config file apply has a profile: the
 * limits of that combination of sections, computed once. Without such sections nothing here is called. Everything here
 * is async-signal-safe, lock-free, and keeps errno. */
#pragma once

#include <sys/socket.h>

#include "shim/report/expiry_count.h"
#include "shim/settings/rules.h"

/* The rules of the config file. Written while the library starts. */
extern struct nd_rules nd_rules;

struct nd_profile {
    struct nd_limits limits;
    nd_live_time connect, establish, accept;
    struct nd_rule_set rules;
    _Atomic uint32_t state;
    bool inbound;
};

/* Profile 0 stands for the settings themselves. When the table is full, which is reported once, further combinations of
 * sections get that. */
enum { ND_PROFILES = 256 };
_Static_assert(ND_PROFILES == UINT8_MAX + 1, "the number of one is a uint8_t, and the message of a full table has it");
extern struct nd_profile nd_profiles[ND_PROFILES];

/* Called once, after the settings have been read. */
void nd_profile_start(void);

/* The profile of a connection to the address, and of the accepted connection `fd`. */
uint8_t nd_profile_to(const struct sockaddr *address, socklen_t length);
uint8_t nd_profile_from(int fd);

/* The profile of the listener `fd`, by its own address. */
uint8_t nd_profile_listening(int fd);

/* The shortest limit of all sections; ND_NEVER where there is none. */
extern nd_time nd_profile_shortest;

/* Computes the profiles again after nd_settings has changed: a setting that was changed holds for every connection. */
void nd_profile_renew(void);

/* RESOLVE and ESTABLISH as they hold for a name (or NULL). */
nd_time nd_profile_resolve(const char *name);
nd_time nd_profile_establish(const char *name);

/* Whether a section of the config file sets ESTABLISH. */
extern bool nd_profile_has_establish;

/* Where the limit of this name was set that holds for a connection of the profile. */
struct nd_set_where nd_profile_where(uint8_t profile, const char *limit);

/* Where RESOLVE was set, as it holds for a name (or NULL). */
struct nd_set_where nd_profile_where_resolve(const char *name);

/* The rules for a host that was looked up as `asked`, and whose name is `canonical` (NULL: the same). */
struct nd_rule_set nd_profile_rules_of(const char *asked, const char *canonical);
