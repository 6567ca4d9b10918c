/* Reads a line of the config file: the values and lists of a section; its header is read by rules_header.c. */
#include "shim/settings/rules_parse.h"
#include "shim/settings/setting_value.h"

#define INBOUND "INBOUND_"

enum { MOST_LINE_NUMBER = 65535 };
_Static_assert(ND_RULES_MOST_LINE == 1024 && ND_RULES_MOST_VALUES == 512, "warnings say so");

void nd_rules_start(struct nd_rules *rules, struct nd_settings *settings, const struct nd_program *program,
                    const char *file, void (*warn)(const char *text, void *arg), void *arg) {
    rules->settings = settings;
    rules->program = program;
    rules->file = file;
    rules->warn = warn;
    rules->arg = arg;
}

static struct nd_word trimmed(struct nd_word word) {
    while (word.size > 0 && nd_is_space(*word.at))
        word.at++, word.size--;
    while (word.size > 0 && nd_is_space(word.at[word.size - 1]))
        word.size--;
    return word;
}

static unsigned row_of(const struct nd_setting *setting) {
    return (unsigned)(setting - nd_setting_table);
}

static bool is_inbound(const struct nd_setting *setting) {
    return strncmp(setting->name, INBOUND, sizeof INBOUND - 1) == 0;
}

/* Names are looked up before it is known for which connection. */
static bool is_stale(const struct nd_setting *setting) {
    return strcmp(setting->name, "STALE") == 0;
}

static bool is_accept(const struct nd_setting *setting) {
    return strcmp(setting->name, "ACCEPT") == 0;
}

/* The setting called `prefix` and `name`, which may be written in any case, and with dashes, as the command's options
 * are. */
static const struct nd_setting *find_setting(const char *prefix, struct nd_word name) {
    char upper[64];
    size_t length = 0;
    if (name.size >= sizeof upper - sizeof INBOUND)
        return NULL;
    while (*prefix)
        upper[length++] = *prefix++;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.at[i];
        upper[length++] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c == '-' ? '_' : c;
    }
    return nd_setting_find(upper, length);
}

/* The setting that the name stands for in this section; or NULL, with what is wrong in *wrong. */
static const struct nd_setting *find_in_section(const struct nd_rules *rules, struct nd_word name, const char **wrong) {
    const struct nd_setting *setting = find_setting("", name), *inbound = find_setting(INBOUND, name);
    bool has_endpoints = rules->section.rule_count > 0;
    *wrong = "is not a setting";
    if (!setting || strcmp(setting->name, "CONFIG") == 0)
        return NULL;
    if (rules->section.is_inbound) {
        *wrong = has_endpoints ? "cannot be set for single peers" : "is no limit of accepted connections";
        if (inbound)
            return inbound;
        return is_inbound(setting) || (is_accept(setting) && !rules->section.has_peers) ? setting : NULL;
    }
    if (rules->section.is_outbound) {
        *wrong = "is no limit of connections that the program makes";
        if (!nd_setting_is_limit(setting) || is_inbound(setting) || is_accept(setting) || is_stale(setting))
            return NULL;
        *wrong = "can be set for host names only, not for addresses: those come of it";
        return strcmp(setting->name, "RESOLVE") == 0 && has_endpoints && !rules->section.has_names_only ? NULL
                                                                                                        : setting;
    }
    *wrong = "stands above the first section only";
    return setting->kind == ND_SETTING_UNREAD && rules->section.program_rank ? NULL : setting;
}

static const char *add_value(struct nd_rules *rules, const struct nd_setting *setting, struct nd_setting_value value,
                             unsigned number) {
    if (rules->value_count >= ND_RULES_MOST_VALUES)
        return "does not fit any more: there are more than 512 values for places";
    rules->has_accept |= is_accept(setting);
    rules->values[rules->value_count++] =
        (struct nd_rule_value){.value = value, .line = (uint16_t)number, .setting = (uint8_t)row_of(setting)};
    return NULL;
}

/* Sets a value that holds everywhere, unless a narrower section has set it. */
static void set_base(struct nd_rules *rules, const struct nd_setting *setting, const char *value, unsigned number) {
    unsigned row = row_of(setting);
    uint32_t rank = rules->section.program_rank << 1 | (rules->section.is_inbound || rules->section.is_outbound);
    struct nd_setting alone = *setting;
    if (rank < rules->base_rank[row])
        return;
    rules->base_rank[row] = rank;
    rules->base_line[row] = (uint16_t)number;
    alone.follower = 0; /* nd_rules_finish sets the follower */
    nd_setting_read(&alone, value, rules->settings);
}

/* ONLY and SKIP: the names of all lines count. */
static void take_list(struct nd_rules *rules, const struct nd_setting *setting, struct nd_word list, unsigned number) {
    bool is_in = rules->program && nd_program_in(rules->program, list);
    if (strcmp(setting->name, "SKIP") == 0) {
        rules->skip_line = is_in && !rules->in_skip ? (uint16_t)number : rules->skip_line;
        rules->in_skip |= is_in;
        return;
    }
    rules->only_line = is_in || !rules->has_only ? (uint16_t)number : rules->only_line;
    rules->has_only |= rules->program && list.size > 0;
    rules->in_only |= is_in;
}

static void take_setting(struct nd_rules *rules, struct nd_word name, struct nd_word value, unsigned number) {
    char text[ND_RULES_MOST_LINE], wrong_value[200];
    struct nd_line expected;
    struct nd_settings scratch;
    const char *wrong;
    const struct nd_setting *setting = find_in_section(rules, name, &wrong);
    if (rules->section.is_broken) /* its header has been warned of */
        return;
    if (!setting) {
        nd_rules_wrong_word(rules, number, name, wrong);
        return;
    }
    memcpy(text, value.at, value.size);
    text[value.size] = '\0';
    scratch = *rules->settings;
    if (memchr(text, '\0', value.size) || nd_setting_read(setting, text, &scratch) != 0) {
        nd_line_start(&expected, wrong_value, sizeof wrong_value);
        nd_line_put(&expected, "is not ");
        nd_line_put(&expected, nd_setting_expects(setting->kind));
        nd_rules_wrong_word(rules, number, value, wrong_value);
        return;
    }
    if (rules->section.is_ignored)
        return;
    if (setting->kind == ND_SETTING_UNREAD) {
        take_list(rules, setting, value, number);
    } else if (rules->section.rule_count > 0) {
        wrong = add_value(rules, setting, nd_setting_value_get(setting, &scratch), number);
        if (wrong)
            nd_rules_wrong_word(rules, number, name, wrong);
    } else {
        set_base(rules, setting, text, number);
    }
}

/* The value without the comment behind it, which begins with white space and a `#`. */
static struct nd_word without_comment(struct nd_word value) {
    for (size_t i = 0; i < value.size; i++)
        if (value.at[i] == '#' && (i == 0 || nd_is_space(value.at[i - 1])))
            value.size = i;
    return trimmed(value);
}

void nd_rules_take_line(struct nd_rules *rules, const char *line, size_t size, unsigned number) {
    struct nd_word word = trimmed((struct nd_word){line, size});
    if (number > MOST_LINE_NUMBER || word.size == 0 || *word.at == '#' || *word.at == ';')
        return;
    if (size >= ND_RULES_MOST_LINE) {
        nd_rules_wrong(rules, number, "the line is longer than 1023 bytes and is left out");
        return;
    }
    if (*word.at == '[') {
        word = without_comment(word);
        struct nd_word inside = {word.at + 1, word.size - 1};
        bool is_closed = inside.size > 0 && inside.at[inside.size - 1] == ']';
        inside.size -= is_closed;
        if (is_closed) {
            nd_rules_take_header(rules, inside, number);
            return;
        }
        nd_rules_wrong_word(rules, number, word, "has no ] at its end");
        nd_rules_end_section(rules);
        rules->section.is_broken = rules->section.is_ignored = true;
        return;
    }
    const char *equals = memchr(word.at, '=', word.size);
    if (!equals) {
        nd_rules_wrong_word(rules, number, word, "is neither NAME = VALUE nor [section]");
        return;
    }
    struct nd_word name = trimmed((struct nd_word){word.at, (size_t)(equals - word.at)});
    struct nd_word value = without_comment((struct nd_word){equals + 1, word.size - (size_t)(equals + 1 - word.at)});
    take_setting(rules, name, value, number);
}
