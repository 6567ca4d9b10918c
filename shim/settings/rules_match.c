/* Which rules hold for a connection, and the settings that set_followers from them and from the environment. */
#include "shim/settings/rules_parse.h"

#include "shim/settings/environment.h"
#include "shim/settings/setting_value.h"

_Static_assert((int)ND_RULES_MOST_SETTINGS >= (int)ND_LIVE_ROWS, "an entry for each setting");

struct nd_rule_set nd_rules_at(const struct nd_rules *rules, bool inbound, const struct nd_endpoint_address *address,
                               const struct nd_rule_set *named) {
    struct nd_rule_set set = {{0}};
    for (unsigned i = 0; i < rules->count; i++) {
        const struct nd_endpoint *where = &rules->rules[i].where;
        if (rules->rules[i].inbound == inbound && nd_endpoint_has_port(where, address->port) &&
            (nd_endpoint_has_address(where, &address->address) || (named && nd_rule_set_has(named, i))))
            nd_rule_set_add(&set, i);
    }
    return set;
}

struct nd_rule_set nd_rules_at_path(const struct nd_rules *rules, bool inbound, const struct sockaddr *address,
                                    socklen_t length) {
    struct nd_rule_set set = {{0}};
    for (unsigned i = 0; i < rules->count; i++)
        if (rules->rules[i].inbound == inbound && nd_endpoint_has_path(&rules->rules[i].where, address, length))
            nd_rule_set_add(&set, i);
    return set;
}

struct nd_rule_set nd_rules_named(const struct nd_rules *rules, const char *name) {
    struct nd_rule_set set = {{0}};
    for (unsigned i = 0; i < rules->count && rules->has_names; i++)
        if (nd_endpoint_has_name(&rules->rules[i].where, name))
            nd_rule_set_add(&set, i);
    return set;
}

void nd_rules_apply(const struct nd_rules *rules, const struct nd_rule_set *set, uint64_t kept,
                    struct nd_settings *settings, uint16_t *sources) {
    for (unsigned i = 0; i < rules->count; i++) {
        const struct nd_rule *rule = &rules->rules[i];
        if (!nd_rule_set_has(set, i))
            continue;
        for (unsigned at = rule->first; at < (unsigned)rule->first + rule->count; at++) {
            const struct nd_rule_value *value = &rules->values[at];
            if (kept >> value->setting & 1)
                continue;
            nd_setting_value_set(&nd_setting_table[value->setting], settings, value->value);
            if (sources)
                sources[value->setting] = value->line;
        }
    }
}

/* Finds the first row, from *row on, whose value another row takes, and stores that other row in *follower. Returns
 * false where there is none. */
static bool next_followed(size_t *row, size_t *follower) {
    for (; *row < nd_setting_count; ++*row)
        for (*follower = 0; nd_setting_table[*row].follower && *follower < nd_setting_count; ++*follower)
            if (nd_setting_table[*follower].field == nd_setting_table[*row].follower)
                return true;
    return false;
}

static void copy_value(struct nd_settings *settings, size_t from, size_t to) {
    nd_setting_value_set(&nd_setting_table[to], settings, nd_setting_value_get(&nd_setting_table[from], settings));
}

/* INBOUND_UNACKED takes the value of UNACKED unless the file or the environment sets it. */
static void set_followers(struct nd_rules *rules) {
    for (size_t row = 0, follower; next_followed(&row, &follower); row++)
        if (!rules->base_line[follower] && !(rules->from_environment >> follower & 1))
            copy_value(rules->settings, row, follower);
}

static void take_lists(struct nd_rules *rules, char *const *environment) {
    const char *only = nd_settings_variable(environment, "ONLY"), *skip = nd_settings_variable(environment, "SKIP");
    if (only) {
        struct nd_word list = {only, strlen(only)};
        rules->has_only = list.size > 0;
        rules->in_only = rules->program && nd_program_in(rules->program, list);
        rules->only_line = 0;
    }
    if (skip) {
        rules->in_skip = rules->program && nd_program_in(rules->program, (struct nd_word){skip, strlen(skip)});
        rules->skip_line = 0;
    }
}

void nd_rules_take_environment(struct nd_rules *rules, char *const *environment) {
    if (!environment)
        return;
    struct nd_setting_value file_values[ND_RULES_MOST_SETTINGS];
    for (size_t row = 0, follower; next_followed(&row, &follower); row++)
        file_values[follower] = nd_setting_value_get(&nd_setting_table[follower], rules->settings);
    rules->from_environment = nd_settings_from_environment(rules->settings, environment, rules->warn, rules->arg);
    for (size_t row = 0, follower; next_followed(&row, &follower);
         row++) /* undoes this for one that the file has set */
        if (rules->base_line[follower] && !(rules->from_environment >> follower & 1))
            nd_setting_value_set(&nd_setting_table[follower], rules->settings, file_values[follower]);
    take_lists(rules, environment);
}

/* Sorts by rank, and rules of the same rank by line. Simple, since there are few. */
static void sort(struct nd_rules *rules) {
    for (unsigned i = 1; i < rules->count; i++) {
        struct nd_rule rule = rules->rules[i];
        unsigned at = i;
        for (; at > 0 && rules->rules[at - 1].rank > rule.rank; at--)
            rules->rules[at] = rules->rules[at - 1];
        rules->rules[at] = rule;
    }
}

void nd_rules_finish(struct nd_rules *rules) {
    nd_rules_end_section(rules);
    sort(rules);
    set_followers(rules);
}
