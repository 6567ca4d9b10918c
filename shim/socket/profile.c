#include "shim/socket/profile.h"

#include <errno.h>

#include "base/compiler.h"
#include "shim/report/report.h"
#include "shim/settings/resolved_names.h"
#include "shim/settings/setting_value.h"
#include "shim/socket/set_where.h"

struct nd_rules nd_rules __attribute__((aligned(1024))); /* what every start writes is in one page */
struct nd_profile nd_profiles[ND_PROFILES];
nd_time nd_profile_shortest = ND_NEVER;
bool nd_profile_has_establish ND_WRITTEN_AT_START;

enum state { FREE, BEING_MADE, READY };

static struct nd_settings initial
    ND_WRITTEN_AT_START;                           /* the settings at start: what differs from them was changed since */
static uint64_t resolve_bit ND_WRITTEN_AT_START;   /* the row of RESOLVE, where a rule sets it; or 0 */
static uint64_t establish_bit ND_WRITTEN_AT_START; /* the same of ESTABLISH */
static _Atomic uint32_t renewed;                   /* the nd_settings_generation of the profiles */

void nd_profile_start(void) {
    initial = nd_settings;
    for (unsigned i = 0; i < nd_rules.value_count; i++) {
        const struct nd_rule_value *value = &nd_rules.values[i];
        const struct nd_setting *setting = &nd_setting_table[value->setting];
        nd_time time = setting->kind == ND_SETTING_RATE ? value->value.window : value->value.value;
        if (time && time < nd_profile_shortest)
            nd_profile_shortest = time;
        if (setting->field == offsetof(struct nd_settings, resolve))
            resolve_bit = (uint64_t)1 << value->setting;
        if (setting->field == offsetof(struct nd_settings, establish) && setting->kind == ND_SETTING_TIME)
            establish_bit = (uint64_t)1 << value->setting;
    }
    nd_profile_has_establish = establish_bit != 0;
}

static bool is_changed(const struct nd_setting *setting) {
    const struct nd_setting_value now = nd_setting_value_get(setting, &nd_settings);
    const struct nd_setting_value then = nd_setting_value_get(setting, &initial);
    return nd_setting_is_limit(setting) && (now.value != then.value || now.window != then.window);
}

/* The settings that hold for every connection, whatever the sections have: the environment's, and those changed since
 * the start. */
static uint64_t overriding_rows(void) {
    uint64_t rows = nd_rules.from_environment;
    for (size_t row = 0; row < nd_setting_count; row++)
        if (is_changed(&nd_setting_table[row]))
            rows |= (uint64_t)1 << row;
    return rows;
}

static void fill(struct nd_profile *profile) {
    struct nd_settings made;
    nd_settings_copy_live(&made, &nd_settings);
    if (made.mode != ND_MODE_OFF) /* MODE=off, set since the start, switches every limit off */
        nd_rules_apply(&nd_rules, &profile->rules, overriding_rows(), &made, NULL);
    nd_limits_copy(&profile->limits, profile->inbound ? &made.inbound : &made.outbound);
    profile->connect = made.connect;
    profile->establish = made.establish;
    profile->accept = made.accept;
}

_Static_assert(sizeof(struct nd_rule_set) == sizeof(((struct nd_rule_set *)0)->bits), "compared as bytes");

static bool is_same(const struct nd_profile *profile, const struct nd_rule_set *rules, bool inbound) {
    return profile->inbound == inbound && memcmp(&profile->rules, rules, sizeof *rules) == 0;
}

/* A thread that finds a profile which another is computing adds one more of the same. */
static uint8_t intern(const struct nd_rule_set *rules, bool inbound) {
    for (unsigned i = 1; i < ND_PROFILES; i++) {
        struct nd_profile *profile = &nd_profiles[i];
        uint32_t state = atomic_load_explicit(&profile->state, memory_order_acquire);
        if (state == READY && is_same(profile, rules, inbound))
            return (uint8_t)i;
        if (state != FREE || !atomic_compare_exchange_strong(&profile->state, &state, BEING_MADE))
            continue;
        profile->rules = *rules;
        profile->inbound = inbound;
        fill(profile);
        atomic_store_explicit(&profile->state, READY, memory_order_release);
        return (uint8_t)i;
    }
    nd_report_notice("netdeadline: more than 255 combinations of sections of the config file are in use: "
                     "further ones have no effect");
    return 0;
}

static uint8_t profile_of(const struct nd_rule_set *rules, bool inbound) {
    static const struct nd_rule_set none;
    return memcmp(rules, &none, sizeof none) == 0 ? 0 : intern(rules, inbound);
}

uint8_t nd_profile_to(const struct sockaddr *address, socklen_t length) {
    struct nd_endpoint_address endpoint;
    struct nd_rule_set rules, named;
    if (nd_endpoint_address_of(address, length, &endpoint)) {
        named = nd_rules.has_names ? nd_resolved_names_get(&endpoint.address) : (struct nd_rule_set){{0}};
        rules = nd_rules_at(&nd_rules, false, &endpoint, &named);
    } else if (length >= sizeof address->sa_family && address->sa_family == AF_UNIX) {
        rules = nd_rules_at_path(&nd_rules, false, address, length);
    } else {
        return 0;
    }
    return profile_of(&rules, false);
}

/* The profile by the own address of a socket, and that of its peer where it `has_peer`. */
static uint8_t inbound_profile(int fd, bool has_peer) {
    struct sockaddr_storage own = {.ss_family = AF_UNSPEC}, peer;
    socklen_t length = sizeof own, peer_length = sizeof peer;
    struct nd_endpoint_address local, endpoint = {.port = 0}; /* a listener has no peer yet */
    struct nd_rule_set rules = {{0}};
    int saved = errno;
    getsockname(fd, (struct sockaddr *)&own, &length); /* else it stays AF_UNSPEC */
    if (own.ss_family == AF_UNIX) {
        rules = nd_rules_at_path(&nd_rules, true, (struct sockaddr *)&own, length);
    } else if (nd_endpoint_address_of((struct sockaddr *)&own, length, &local) &&
               (!has_peer || (getpeername(fd, (struct sockaddr *)&peer, &peer_length) == 0 &&
                              nd_endpoint_address_of((struct sockaddr *)&peer, peer_length, &endpoint)))) {
        endpoint.port = local.port;
        rules = nd_rules_at(&nd_rules, true, &endpoint, NULL);
    }
    errno = saved;
    return profile_of(&rules, true);
}

uint8_t nd_profile_from(int fd) {
    return nd_rules.has_inbound ? inbound_profile(fd, true) : 0;
}

uint8_t nd_profile_listening(int fd) {
    return nd_rules.has_accept ? inbound_profile(fd, false) : 0;
}

void nd_profile_renew(void) {
    uint32_t now = nd_settings_generation;
    if (nd_rules.count == 0 || atomic_exchange(&renewed, now) == now)
        return;
    for (unsigned i = 1; i < ND_PROFILES; i++)
        if (atomic_load_explicit(&nd_profiles[i].state, memory_order_acquire) == READY)
            fill(&nd_profiles[i]);
}

/* The settings as they hold for a name. Returns false where no section has a value for one of the rows `bits`: then
 * nd_settings holds. */
static bool settings_of(const char *name, uint64_t bits, struct nd_settings *made) {
    if (!bits || !name || nd_settings.mode == ND_MODE_OFF || (overriding_rows() & bits))
        return false;
    nd_settings_copy_live(made, &nd_settings);
    struct nd_rule_set rules = nd_rules_named(&nd_rules, name);
    nd_rules_apply(&nd_rules, &rules, 0, made, NULL);
    return true;
}

nd_time nd_profile_resolve(const char *name) {
    struct nd_settings made;
    return settings_of(name, resolve_bit, &made) ? made.resolve : nd_settings.resolve;
}

nd_time nd_profile_establish(const char *name) {
    struct nd_settings made;
    return settings_of(name, establish_bit, &made) ? made.establish : nd_settings.establish;
}

static struct nd_set_where where(const struct nd_rule_set *set, const char *limit) {
    const struct nd_setting *setting = nd_setting_find(limit, strlen(limit));
    if (!setting)
        return (struct nd_set_where){ND_SET_BY_DEFAULT, 0};
    if (is_changed(setting))
        return (struct nd_set_where){ND_SET_BY_COMMAND, 0};
    return nd_set_where(&nd_rules, set, setting);
}

struct nd_set_where nd_profile_where(uint8_t profile, const char *limit) {
    return where(&nd_profiles[profile].rules, limit);
}

struct nd_set_where nd_profile_where_resolve(const char *name) {
    static const struct nd_rule_set none;
    if (!resolve_bit || !name)
        return where(&none, "RESOLVE");
    const struct nd_rule_set rules = nd_rules_named(&nd_rules, name);
    return where(&rules, "RESOLVE");
}

struct nd_rule_set nd_profile_rules_of(const char *asked, const char *canonical) {
    struct nd_rule_set rules = nd_rules_named(&nd_rules, asked), more;
    if (canonical && canonical[0]) {
        more = nd_rules_named(&nd_rules, canonical);
        for (size_t i = 0; i < sizeof rules.bits / sizeof rules.bits[0]; i++)
            rules.bits[i] |= more.bits[i];
    }
    return rules;
}
