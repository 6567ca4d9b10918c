#include "cli/guard_policy.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/guard_state.h"
#include "cli/process/processes.h"
#include "shim/settings/environment.h"
#include "shim/settings/setting_value.h"
#include "shim/socket/set_where.h"

static struct guard_policy *policies;
static unsigned policy_count;

/* A program that gives itself ever new names gets policies by its executable file's alone after so many. */
enum { MANY_POLICIES = 256, MOST_POLICIES = 2 * MANY_POLICIES };

/* The names by which sections, ONLY and SKIP can mean the process: its executable file's, the process's own (for a
 * script, the script's), and its first argument's. */
static void find_names(pid_t pid, struct nd_program *program) {
    const size_t size = sizeof program->names[0];
    char path[64], text[PATH_MAX];
    *program = (struct nd_program){{""}};
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    ssize_t length = readlink(path, text, sizeof text - 1);
    if (length > 0)
        nd_program_executable_name(program->names[0], size, text, (size_t)length);
    process_raw_name(pid, text, sizeof text);
    nd_program_file_name(program->names[1], size, text);
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    FILE *file = fopen(path, "re");
    size_t got = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[got] = '\0';
    if (got > 0)
        nd_program_file_name(program->names[2], size, text);
    if (file)
        fclose(file);
}

static void warn(const char *text, void *arg) {
    (void)arg;
    cli_warn("%s", text);
}

static void ignore(const char *text, void *arg) {
    (void)text;
    (void)arg;
}

/* Which of the shortest limits the setting belongs to; NULL where connections are not judged by it from outside. */
static nd_time *shortest_of(struct guard_shortest *shortest, const struct nd_setting *setting) {
    static const char *const others[] = {
        "RESOLVE", "ACCEPT", "TLS_HANDSHAKE", "INBOUND_TLS_HANDSHAKE", "TLS_SHUTDOWN", "INBOUND_TLS_SHUTDOWN"};
    const char *name = setting->name;
    if (!nd_setting_is_limit(setting))
        return NULL;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(name, others[i]) == 0)
            return NULL;
    if (strcmp(name, "CONNECT") == 0 || strcmp(name, "ESTABLISH") == 0)
        return &shortest->connect;
    if (strncmp(name, "INBOUND_", 8) == 0)
        name += 8;
    return strcmp(name, "RECV") == 0        ? &shortest->recv
           : strcmp(name, "SEND") == 0      ? &shortest->sampled
           : strcmp(name, "LIFETIME") == 0  ? &shortest->sampled
           : strcmp(name, "MIN_RATE") == 0  ? &shortest->sampled
           : strcmp(name, "KEEPALIVE") == 0 ? &shortest->keepalive
                                            : &shortest->timed;
}

static void take_shortest(struct guard_policy *policy, const struct nd_setting *setting,
                          struct nd_setting_value value) {
    nd_time *shortest = value.value > 0 ? shortest_of(&policy->shortest, setting) : NULL;
    if (shortest)
        *shortest = nd_time_sooner(*shortest, setting->kind == ND_SETTING_RATE ? value.window : value.value);
}

static void find_shortest(struct guard_policy *policy) {
    policy->shortest = (struct guard_shortest){ND_NEVER, ND_NEVER, ND_NEVER, ND_NEVER, ND_NEVER};
    for (size_t i = 0; i < nd_setting_count; i++)
        take_shortest(policy, &nd_setting_table[i], nd_setting_value_get(&nd_setting_table[i], &policy->settings));
    for (unsigned i = 0; i < policy->rules.value_count; i++)
        take_shortest(policy, &nd_setting_table[policy->rules.values[i].setting], policy->rules.values[i].value);
}

static void take_changes(struct guard_policy *policy) {
    guard_state_apply(&policy->settings);
    policy->passes = policy->is_skipped || policy->settings.mode == ND_MODE_OFF;
    find_shortest(policy);
}

/* Mistakes in the file are told once, with the first program. */
static void read_rules(struct guard_policy *policy) {
    const char *path = getenv("NETDEADLINE_CONFIG");
    bool is_named = path && path[0];
    nd_settings_defaults(&policy->settings);
    nd_rules_start(&policy->rules, &policy->settings, &policy->program, is_named ? path : ND_RULES_FILE,
                   policies ? ignore : warn, NULL);
    int fd = nd_rules_open_file(&policy->rules, false, !is_named);
    if (fd >= 0)
        nd_rules_read_file(&policy->rules, fd);
    nd_rules_take_environment(&policy->rules, environ);
    nd_rules_finish(&policy->rules);
    policy->is_skipped = nd_rules_pass(&policy->rules);
    if (policy->rules.has_names && !policies)
        cli_warn("sections for the names of hosts have no effect on a guarded program: its lookups are not seen");
    take_changes(policy);
}

static bool is_same(const struct nd_program *a, const struct nd_program *b) {
    for (int i = 0; i < ND_PROGRAM_NAMES; i++)
        if (strcmp(a->names[i], b->names[i]) != 0)
            return false;
    return true;
}

struct guard_policy *guard_policy_of(pid_t pid) {
    struct nd_program program;
    find_names(pid, &program);
    if (policy_count >= MANY_POLICIES)
        program.names[1][0] = program.names[2][0] = '\0';
    for (struct guard_policy *policy = policies; policy; policy = policy->next)
        if (is_same(&policy->program, &program))
            return policy;
    struct guard_policy *policy = policy_count < MOST_POLICIES ? calloc(1, sizeof *policy) : NULL;
    if (!policy)
        return NULL;
    policy_count++;
    policy->program = program;
    read_rules(policy);
    policy->next = policies;
    policies = policy;
    return policy;
}

static void free_profiles(struct guard_policy *policy) {
    while (policy->profiles) {
        struct guard_profile *profile = policy->profiles;
        policy->profiles = profile->next;
        free(profile);
    }
}

void guard_policies_forget(void) {
    policy_count = 0;
    while (policies) {
        struct guard_policy *policy = policies;
        policies = policy->next;
        free_profiles(policy);
        free(policy);
    }
}

void guard_policies_change(void) {
    for (struct guard_policy *policy = policies; policy; policy = policy->next) {
        free_profiles(policy);
        take_changes(policy);
    }
}

static struct nd_rule_set rules_of(const struct guard_policy *policy, const struct connection *connection,
                                   bool inbound) {
    struct nd_endpoint_address local, endpoint;
    if (!nd_endpoint_address_of((const struct sockaddr *)&connection->remote, sizeof connection->remote, &endpoint) ||
        !nd_endpoint_address_of((const struct sockaddr *)&connection->local, sizeof connection->local, &local))
        return (struct nd_rule_set){{0}};
    if (inbound)
        endpoint.port = local.port;
    return nd_rules_at(&policy->rules, inbound, &endpoint, NULL);
}

struct nd_set_where guard_policy_where(const struct guard_policy *policy, const struct connection *connection,
                                       bool inbound, const char *limit) {
    const struct nd_setting *setting = nd_setting_find(limit, strlen(limit));
    if (!setting)
        return (struct nd_set_where){ND_SET_BY_DEFAULT, 0};
    if (guard_state_is_set(setting))
        return (struct nd_set_where){ND_SET_BY_COMMAND, 0};
    const struct nd_rule_set rules = rules_of(policy, connection, inbound);
    return nd_set_where(&policy->rules, &rules, setting);
}

const struct nd_settings *guard_policy_settings(struct guard_policy *policy, const struct connection *connection,
                                                bool inbound) {
    static const struct nd_rule_set none;
    if (policy->rules.count == 0)
        return &policy->settings;
    struct nd_rule_set rules = rules_of(policy, connection, inbound);
    if (memcmp(&rules, &none, sizeof rules) == 0)
        return &policy->settings;
    for (struct guard_profile *profile = policy->profiles; profile; profile = profile->next)
        if (profile->inbound == inbound && memcmp(&profile->rules, &rules, sizeof rules) == 0)
            return &profile->settings;
    struct guard_profile *profile = calloc(1, sizeof *profile);
    if (!profile)
        return &policy->settings;
    profile->rules = rules;
    profile->inbound = inbound;
    nd_settings_copy_live(&profile->settings, &policy->settings);
    nd_rules_apply(&policy->rules, &rules, policy->rules.from_environment, &profile->settings, NULL);
    profile->next = policy->profiles;
    policy->profiles = profile;
    return &profile->settings;
}
