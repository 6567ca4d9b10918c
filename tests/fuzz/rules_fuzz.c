/* The config file, for a program and for all, and the search for what applies. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shim/settings/environment.h"

#include "shim/settings/rules.h"
#include "shim/settings/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned complaints;

static void complain(const char *text, void *arg) {
    (void)arg;
    complaints++;
    if (strlen(text) >= 512 || strpbrk(text, "\n\x1b"))
        abort();
}

/* What came of it must be within bounds, whatever was read. */
static void check(const struct nd_rules *rules) {
    if (rules->count > ND_RULES_MOST || rules->value_count > ND_RULES_MOST_VALUES ||
        rules->text_size > ND_RULES_MOST_TEXT)
        abort();
    for (unsigned i = 0; i < rules->count; i++) {
        const struct nd_rule *rule = &rules->rules[i];
        if (rule->first + rule->count > rules->value_count || (i > 0 && rules->rules[i - 1].rank > rule->rank))
            abort();
        if (rule->where.text.size > 0 && (rule->where.text.at < rules->text ||
                                          rule->where.text.at + rule->where.text.size > rules->text + rules->text_size))
            abort();
    }
}

static void apply(const struct nd_rules *rules, const struct nd_settings *settings) {
    struct nd_endpoint_address place = {.port = 443};
    inet_pton(AF_INET6, "::ffff:10.0.0.1", &place.address);
    struct nd_rule_set named = nd_rules_named(rules, "db.example.com");
    struct nd_rule_set set = nd_rules_at(rules, false, &place, &named);
    struct nd_settings made = *settings;
    nd_rules_apply(rules, &set, 0, &made, NULL);
    set = nd_rules_at(rules, true, &place, NULL);
    nd_rules_apply(rules, &set, 0, &made, NULL);
    if (made.connect < 0 || made.resolve < 0 || made.outbound.recv < 0 || made.inbound.recv < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct nd_rules rules;
    struct nd_settings settings;
    struct nd_program program;
    nd_program_named(&program, "prog");
    for (int all = 0; all < 2; all++) {
        struct nd_word rest = {(const char *)data, size}, line;
        unsigned number = 0;
        memset(&rules, 0, sizeof rules);
        nd_settings_defaults(&settings);
        nd_rules_start(&rules, &settings, all ? NULL : &program, "x.conf", complain, NULL);
        while (nd_next_line(&rest, &line))
            nd_rules_take_line(&rules, line.at, line.size, ++number);
        nd_rules_take_environment(&rules, NULL);
        nd_rules_finish(&rules);
        check(&rules);
        apply(&rules, &settings);
    }
    return 0;
}
