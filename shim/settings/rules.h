/* What the config file says for one program: values that hold everywhere, and rules for single destinations and peers.
 * It is read line by line while the library starts. Unless it is said otherwise these functions do not allocate, lock
 * or make a system call. */
#pragma once

#include "shim/settings/endpoint.h"
#include "shim/settings/program.h"
#include "shim/settings/settings.h"

enum {
    ND_RULES_MOST = 256,         /* endpoints, each with its values */
    ND_RULES_MOST_VALUES = 512,  /* of all endpoints together */
    ND_RULES_MOST_TEXT = 8192,   /* bytes of their names */
    ND_RULES_MOST_LINE = 1024,   /* bytes of a line */
    ND_RULES_MOST_SETTINGS = 64, /* rows of nd_setting_table */
};

/* One value of a rule. */
struct nd_rule_value {
    struct nd_setting_value value;
    uint16_t line;
    uint8_t setting; /* its row in nd_setting_table */
};

/* Values for the connections to one endpoint, or from it. */
struct nd_rule {
    struct nd_endpoint where;
    uint32_t rank; /* of two rules that set the same, that of the higher rank holds, then that of the later line */
    uint16_t line; /* of the section's header */
    uint16_t first, count; /* its values */
    bool inbound;
};

struct nd_rules {
    struct nd_settings *settings;     /* what holds where no rule does */
    const struct nd_program *program; /* NULL: take the sections of all programs, to check them */
    const char *file;                 /* its name in warnings */
    void (*warn)(const char *text, void *arg);
    void *arg;

    unsigned count, value_count;
    size_t text_size;
    bool has_names;   /* a rule has a host's name */
    bool has_inbound; /* a rule is for peers */
    bool has_accept;  /* a rule is for listeners */

    /* Where each value of `settings` comes from, by row: the line of the file, 0 for none; bits for the environment. */
    uint16_t base_line[ND_RULES_MOST_SETTINGS];
    uint32_t base_rank[ND_RULES_MOST_SETTINGS];
    uint64_t from_environment;

    bool has_only, in_only, in_skip; /* ONLY and SKIP */
    uint16_t only_line, skip_line;   /* 0 where they come from the environment */

    struct { /* the section being read */
        bool is_ignored, is_broken, is_inbound, is_outbound, has_names_only, has_peers;
        unsigned first_rule, rule_count;
        uint32_t program_rank;
    } section;

    /* The large ones last: without a file they are never touched, and cost no memory. */
    struct nd_rule rules[ND_RULES_MOST]; /* by rank, lowest first, once nd_rules_finish was called */
    struct nd_rule_value values[ND_RULES_MOST_VALUES];
    char text[ND_RULES_MOST_TEXT];
};

/* Begins to read. `settings` holds the defaults; *rules is all zeros. For each part that is wrong calls warn(text, arg)
 * with a line "FILE:LINE: what", and leaves that part out. */
void nd_rules_start(struct nd_rules *rules, struct nd_settings *settings, const struct nd_program *program,
                    const char *file, void (*warn)(const char *text, void *arg), void *arg);

/* Reads the next line, given without its newline. `number` counts lines from 1. */
void nd_rules_take_line(struct nd_rules *rules, const char *line, size_t size, unsigned number);

/* Warns of the line. */
void nd_rules_wrong(const struct nd_rules *rules, unsigned line, const char *what);

/* Lets each NETDEADLINE_X of `environment` replace what the file says. Called between the last line and
 * nd_rules_finish. */
void nd_rules_take_environment(struct nd_rules *rules, char *const *environment);

/* Ends the reading: sorts the rules, and sets INBOUND_UNACKED where it follows UNACKED. */
void nd_rules_finish(struct nd_rules *rules);

/* Whether ONLY or SKIP exclude the program. */
static inline bool nd_rules_pass(const struct nd_rules *rules) {
    return rules->in_skip || (rules->has_only && !rules->in_only);
}

/* A set of rules, by their index. */
struct nd_rule_set {
    uint64_t bits[ND_RULES_MOST / 64];
};

static inline bool nd_rule_set_has(const struct nd_rule_set *set, unsigned rule) {
    return set->bits[rule / 64] >> (rule % 64) & 1;
}

static inline void nd_rule_set_add(struct nd_rule_set *set, unsigned rule) {
    set->bits[rule / 64] |= (uint64_t)1 << (rule % 64);
}

/* The rules for a connection to an address, or, if `inbound`, from it: then the port is the local one. `named`: the
 * rules for the host names that were resolved to this address, or NULL. Async-signal-safe. */
struct nd_rule_set nd_rules_at(const struct nd_rules *rules, bool inbound, const struct nd_endpoint_address *address,
                               const struct nd_rule_set *named);

/* The same for an AF_UNIX address: that of the peer, or, if `inbound`, the local one. Async-signal-safe. */
struct nd_rule_set nd_rules_at_path(const struct nd_rules *rules, bool inbound, const struct sockaddr *address,
                                    socklen_t length);

/* The rules for a host name that matches `name`. Async-signal-safe. */
struct nd_rule_set nd_rules_named(const struct nd_rules *rules, const char *name);

/* Replaces values in *settings by those of these rules, in the order of their ranks, except in the rows whose bits are
 * set in `kept`. Where `sources` is not NULL, stores for each row that was replaced the line of its value.
 * Async-signal-safe. */
void nd_rules_apply(const struct nd_rules *rules, const struct nd_rule_set *set, uint64_t kept,
                    struct nd_settings *settings, uint16_t *sources);

/* Opens the file that nd_rules_start was given, without waiting. Returns -1 where it cannot be used, after a warning,
 * unless it is missing and `optional`. If `is_secure`, a file that others than root can write is not used. Makes raw
 * system calls; keeps errno. */
int nd_rules_open_file(const struct nd_rules *rules, bool is_secure, bool optional);

/* Reads its lines, at most a megabyte, and closes it. Makes raw system calls; keeps errno. */
void nd_rules_read_file(struct nd_rules *rules, int fd);

#define ND_RULES_FILE "/etc/netdeadline.conf"
