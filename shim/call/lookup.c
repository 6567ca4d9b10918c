#include "shim/call/lookup.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/valgrind.h"
#include "shim/mode.h"
#include "shim/report/repeats.h"
#include "shim/report/report.h"
#include "shim/report/slots.h"
#include "shim/settings/live.h"
#include "shim/settings/resolved_names.h"
#include "shim/settings/settings.h"
#include "shim/socket/establish.h"
#include "shim/socket/profile.h"

bool nd_lookup_is_bounded(const char *name) {
    if (nd_unlikely(!nd_active) && nd_start_early)
        nd_start_early();
    nd_live_check();
    return nd_active && !nd_observing && nd_profile_resolve(name);
}

/* ESTABLISH as it holds for lookups of `name`. A numeric name has none: it takes no time, and says nothing of what else
 * is at the address. */
static nd_time establish_limit(const char *name) {
    const nd_time limit = nd_profile_establish(name);
    return nd_unlikely(limit) && name && !nd_endpoint_is_numeric(name) ? limit : 0;
}

bool nd_lookup_to_connect_is_bounded(const char *name) {
    return nd_lookup_is_bounded(name) || (nd_active && !nd_observing && establish_limit(name));
}

/* Whether ESTABLISH ends the lookup, and not RESOLVE. */
static bool is_by_establish(const struct nd_lookup_use *use, const struct nd_lookup *lookup) {
    return use->establish && lookup->deadline >= nd_time_after(use->establish_began, use->establish);
}

static void begin_slot(struct nd_lookup *lookup) {
    struct nd_lookup_use *use = lookup->caller;
    if (use->begun) {
        nd_slot_bound(&use->slot, lookup->deadline, ND_LIMIT_RESOLVE);
        return;
    }
    use->begun = true;
    nd_slot_begin_in(use->frame, &use->slot, use->operation, -1, lookup->deadline - lookup->limit, lookup->deadline,
                     is_by_establish(use, lookup) ? ND_LIMIT_ESTABLISH : ND_LIMIT_RESOLVE, use->name);
}

/* Where it was the command that has interrupted the wait: RESOLVE, as it is now, counts from the beginning. */
static void renew(struct nd_lookup *lookup) {
    struct nd_lookup_use *use = lookup->caller;
    if (!use->begun || !nd_slots_woken())
        return;
    lookup->limit = nd_observing ? 0 : nd_profile_resolve(use->name);
    lookup->deadline = lookup->limit ? nd_time_after(use->slot.began, lookup->limit) : ND_NEVER;
    nd_slot_bound(&use->slot, lookup->deadline, ND_LIMIT_RESOLVE);
}

/* Before the lookup, which may never return. */
static void warn_unbounded(struct nd_lookup *lookup, const char *why) {
    static atomic_flag warned = ATOMIC_FLAG_INIT;
    int saved = errno;
    char line[300];
    if (nd_settings.log != ND_LOG_OFF && !atomic_flag_test_and_set(&warned)) {
        snprintf(line, sizeof line, "netdeadline: lookups left to libc, without a limit: %s; %s", why,
                 lookup->libc_why ? lookup->libc_why : "");
        nd_report_unbounded(line);
    }
    errno = saved;
}

static void notice_libc_once(const char *why) {
    static atomic_flag noticed = ATOMIC_FLAG_INIT;
    char line[200];
    if (nd_settings.log == ND_LOG_OFF || atomic_flag_test_and_set(&noticed))
        return;
    snprintf(line, sizeof line, "netdeadline: lookups left to libc: %s", why);
    nd_report_notice(line);
}

struct nd_lookup nd_lookup_begin_in(const uintptr_t *frame, struct nd_lookup_use *use, enum nd_call operation,
                                    const char *name) {
    nd_valgrind_hide();
    use->frame = frame;
    use->operation = operation;
    use->name = name;
    use->begun = false;
    use->establish = 0;
    nd_time limit = nd_profile_resolve(name);
    nd_time longest = limit == ND_RESOLVE_DEFAULT ? ND_RESOLVE_LONGEST : 0;
    return (struct nd_lookup){.limit = limit,
                              .longest = longest,
                              .stale = nd_settings.stale,
                              .on_start = begin_slot,
                              .on_unbounded = warn_unbounded,
                              .on_interrupted = renew,
                              .caller = use};
}

/* The budget counts from here. */
void nd_lookup_to_connect(struct nd_lookup_use *use, struct nd_lookup *lookup, int family) {
    const char *name = use->name;
    const nd_time limit = establish_limit(name);
    if (nd_likely(!limit))
        return;
    const nd_time now = nd_now();
    use->family = family;
    use->establish = limit;
    use->establish_began = nd_establish_lookup_began(name, family, nd_establish_thread(), limit, now);
    const nd_time left = nd_time_after(use->establish_began, limit) - now;
    lookup->is_part = true;
    if (!lookup->limit || left <= lookup->limit) {
        lookup->limit = left;
        lookup->longest = 0;
    } else {
        lookup->longest = nd_time_sooner(lookup->longest, left);
    }
}

static void report(enum nd_call operation, const char *name, enum nd_limit limit, nd_time timeout, nd_time elapsed,
                   unsigned in_a_row) {
    struct nd_event event = {.operation = nd_operation_names[operation],
                             .limit = nd_limit_names[limit],
                             .timeout = timeout,
                             .elapsed = elapsed,
                             .fd = -1,
                             .name = name,
                             .in_a_row = in_a_row,
                             .observed = nd_observing,
                             .set = nd_profile_where_resolve(name)};
    nd_report_expiry(&event);
}

static void report_expired(const struct nd_lookup_use *use, const char *name, const struct nd_lookup *lookup) {
    const nd_time now = nd_now();
    unsigned in_a_row = name ? nd_repeats_add(name) : 0;
    nd_slots_count_in_a_row(use->operation, in_a_row);
    if (is_by_establish(use, lookup))
        report(use->operation, name, ND_LIMIT_ESTABLISH, use->establish, now - use->establish_began, in_a_row);
    else
        report(use->operation, name, ND_LIMIT_RESOLVE, lookup->limit, now - (lookup->deadline - lookup->limit),
               in_a_row);
}

/* The servers said nothing, and the program got the last good answer. */
static void report_stale(const struct nd_lookup_use *use, const char *name, const struct nd_lookup *lookup) {
    nd_report_stale(&(struct nd_event){.operation = nd_operation_names[use->operation],
                                       .limit = "STALE",
                                       .timeout = nd_settings.stale,
                                       .elapsed = nd_now() - (lookup->deadline - lookup->limit),
                                       .fd = -1,
                                       .name = name,
                                       .stale = true,
                                       .age = lookup->stale_age});
}

void nd_lookup_end(struct nd_lookup_use *use, const char *name, struct nd_lookup *lookup) {
    int saved = errno;
    if (lookup->deadline != 0)
        nd_slot_end(&use->slot, lookup->expired ? ND_SLOT_EXPIRED : ND_SLOT_DONE, nd_now());
    if (lookup->libc_why)
        notice_libc_once(lookup->libc_why);
    if (lookup->expired)
        report_expired(use, name, lookup);
    else if (name)
        nd_repeats_ended(name);
    if (nd_unlikely(lookup->gave_stale))
        report_stale(use, name, lookup);
    nd_signals_restore(lookup);
    errno = saved;
    nd_valgrind_show();
}

/* The limit that would have ended a lookup of `name` that libc has made. */
static nd_time observed_limit(const char *name) {
    nd_time limit = nd_profile_resolve(name);
    struct nd_lookup lookup = {.deadline = ND_NEVER, .limit = limit, .longest = ND_RESOLVE_LONGEST};
    if (limit == ND_RESOLVE_DEFAULT)
        nd_lookup_extend(&lookup, NULL);
    return lookup.limit;
}

/* Whether it is a lookup that ESTABLISH bounds (nd_lookup_to_connect). */
static bool is_to_connect(unsigned operation) {
    switch (operation) {
    case ND_OPERATION_getaddrinfo:
    case ND_OPERATION_gethostbyname:
    case ND_OPERATION_gethostbyname2:
    case ND_OPERATION_gethostbyname_r:
    case ND_OPERATION_gethostbyname2_r:
        return true;
    default:
        return false;
    }
}

void nd_lookup_observed(struct nd_slot_use *use, const char *name) {
    int saved = errno;
    nd_time now = nd_now(), elapsed = now - use->began, limit = nd_profile_resolve(name);
    nd_time establish = is_to_connect(use->operation) ? establish_limit(name) : 0;
    nd_slot_end(use, ND_SLOT_DONE, now);
    if (establish && elapsed >= establish && (!limit || establish <= limit))
        report(use->operation, name, ND_LIMIT_ESTABLISH, establish, elapsed, 0);
    else if (limit && elapsed >= limit && elapsed >= (limit = observed_limit(name)))
        report(use->operation, name, ND_LIMIT_RESOLVE, limit, elapsed, 0);
    errno = saved;
}

static bool is_failed(const struct nd_lookup *lookup) {
    return lookup->expired && nd_settings.resolve_error == ND_RESOLVE_FAIL;
}

int nd_lookup_code(const struct nd_lookup *lookup, int code) {
    return code == EAI_AGAIN && is_failed(lookup) ? EAI_FAIL : code;
}

int nd_lookup_h_err(const struct nd_lookup *lookup, int h_err) {
    return h_err == TRY_AGAIN && is_failed(lookup) ? NO_RECOVERY : h_err;
}

void nd_lookup_set_h_errno(const struct nd_lookup *lookup) {
    h_errno = nd_lookup_h_err(lookup, h_errno);
}

/* What the addresses that a lookup has found are recorded for: a later connect to one of them is taken for one to that
 * host, and is part of the establishment that the lookup began. */
struct found {
    bool has_rules, has_budget;
    struct nd_rule_set rules; /* for the host's names */
    struct nd_budget budget;
};

/* Returns false where nothing is recorded. The budget of a lookup that ESTABLISH has not bounded (a section for the
 * addresses may have it) begins now. */
static bool begin_found(struct found *found, const struct nd_lookup_use *use, const char *name, const char *canonical) {
    if (!name || nd_endpoint_is_numeric(name))
        return false;
    found->has_rules = nd_rules.has_names;
    found->has_budget = nd_profile_establish(name) || nd_profile_has_establish;
    if (found->has_rules)
        found->rules = nd_profile_rules_of(name, canonical);
    if (found->has_budget)
        found->budget =
            nd_establish_lookup(name, nd_establish_thread(), use && use->establish ? use->establish_began : nd_now());
    return true;
}

static void add_found(struct found *found, const void *address, socklen_t length) {
    struct nd_endpoint_address endpoint;
    if (!nd_endpoint_address_of(address, length, &endpoint))
        return;
    if (found->has_rules)
        nd_resolved_names_put(&endpoint.address, &found->rules);
    if (found->has_budget)
        nd_establish_found(&found->budget, &endpoint.address);
}

static void end_found(struct found *found, const struct nd_lookup_use *use) {
    if (found->has_budget)
        nd_establish_store(&found->budget, use && use->establish ? use->family : AF_UNSPEC, nd_now());
}

void nd_lookup_found(const struct nd_lookup_use *use, const char *name, const char *canonical,
                     const struct addrinfo *list) {
    struct found found;
    if (!nd_lookup_results_wanted() || !list ||
        !begin_found(&found, use, name, canonical && canonical[0] ? canonical : list->ai_canonname))
        return;
    for (; list; list = list->ai_next)
        add_found(&found, list->ai_addr, list->ai_addrlen);
    end_found(&found, use);
}

void nd_lookup_found_host(const struct nd_lookup_use *use, const char *name, const struct hostent *host) {
    struct found found;
    if (!nd_lookup_results_wanted() || !host || !begin_found(&found, use, name, host->h_name))
        return;
    for (char *const *at = host->h_addr_list; *at; at++) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        if (host->h_addrtype == AF_INET && host->h_length == sizeof v4.sin_addr) {
            memcpy(&v4.sin_addr, *at, sizeof v4.sin_addr);
            add_found(&found, &v4, sizeof v4);
        } else if (host->h_addrtype == AF_INET6 && host->h_length == sizeof v6.sin6_addr) {
            memcpy(&v6.sin6_addr, *at, sizeof v6.sin6_addr);
            add_found(&found, &v6, sizeof v6);
        }
    }
    end_found(&found, use);
}
