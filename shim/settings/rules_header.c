/* Parses the headers of the config file's sections. */
#include "shim/settings/pattern.h"
#include "shim/settings/rules_parse.h"

enum { PROGRAM_EXACT = 1000 };

/* A rule's rank, from the highest bit on: how narrow the endpoint is, whether it has a port, how well the program is
 * named. */
enum { PROGRAM_SHIFT = 1, PORT_SHIFT = 19, ENDPOINT_SHIFT = 20 };
_Static_assert(PROGRAM_EXACT << PROGRAM_SHIFT < 1 << PORT_SHIFT, "the parts of a rank do not overlap");
_Static_assert(ND_ENDPOINT_MOST_NARROW < 1U << (32 - ENDPOINT_SHIFT), "a rank has 32 bits");
_Static_assert(ND_RULES_MOST == 256, "a warning says so");

static const char *keep_text(struct nd_rules *rules, struct nd_word *word) {
    if (word->size == 0)
        return NULL;
    if (word->size > sizeof rules->text - rules->text_size)
        return "does not fit any more: there are too many names";
    char *copy = rules->text + rules->text_size;
    memcpy(copy, word->at, word->size);
    rules->text_size += word->size;
    word->at = copy;
    return NULL;
}

/* Adds an endpoint to the section being read. The lines that follow give its values. */
static const char *add_endpoint(struct nd_rules *rules, struct nd_word word, unsigned number) {
    struct nd_endpoint where;
    const char *wrong = nd_endpoint_parse(word, &where);
    if (wrong)
        return wrong;
    if (rules->section.is_inbound && where.kind == ND_ENDPOINT_NAME)
        return "cannot stand there: peers have addresses, not names";
    if (rules->section.first_rule + rules->section.rule_count >= ND_RULES_MOST)
        return "does not fit any more: there are more than 256 places";
    wrong = keep_text(rules, &where.text);
    if (wrong)
        return wrong;
    rules->section.has_names_only &= where.kind == ND_ENDPOINT_NAME;
    rules->section.has_peers |= where.kind == ND_ENDPOINT_ADDRESS;
    rules->rules[rules->section.first_rule + rules->section.rule_count++] =
        (struct nd_rule){.where = where,
                         .rank = nd_endpoint_narrowness(&where) << ENDPOINT_SHIFT | (where.port ? 1U << PORT_SHIFT : 0),
                         .line = (uint16_t)number,
                         .inbound = rules->section.is_inbound};
    return NULL;
}

/* How exactly the pattern names the program; 0 where it does not match. */
static uint32_t program_rank(const struct nd_rules *rules, struct nd_word pattern) {
    if (rules->program && !nd_program_matches(rules->program, pattern))
        return 0;
    if (!nd_pattern_has_wildcard(pattern))
        return PROGRAM_EXACT;
    return 1 + (uint32_t)(pattern.size < PROGRAM_EXACT - 2 ? pattern.size : PROGRAM_EXACT - 2);
}

/* What the words of a header belong to. */
enum clause { NOTHING, PROGRAM, DESTINATION, INBOUND_FROM, OUTBOUND };

static enum clause keyword(struct nd_word word) {
    static const char words[][16] = {
        [PROGRAM] = "program", [DESTINATION] = "destination", [INBOUND_FROM] = "inbound", [OUTBOUND] = "outbound"};
    for (int i = PROGRAM; i <= OUTBOUND; i++)
        if (nd_word_is(word, words[i]))
            return (enum clause)i;
    return NOTHING;
}

static const char *begin_clause(struct nd_rules *rules, enum clause clause, unsigned *words) {
    *words = 0;
    if (clause == PROGRAM)
        return NULL;
    if (rules->section.is_inbound || rules->section.is_outbound)
        return "gives the section a second direction";
    rules->section.is_inbound = clause == INBOUND_FROM;
    rules->section.is_outbound = clause != INBOUND_FROM;
    return NULL;
}

static const char *take_header_word(struct nd_rules *rules, enum clause clause, struct nd_word word, unsigned number,
                                    uint32_t *rank) {
    if (clause == NOTHING)
        return "is not program, destination, inbound or outbound";
    if (clause != PROGRAM)
        return add_endpoint(rules, word, number);
    uint32_t named = program_rank(rules, word);
    if (named > *rank)
        *rank = named;
    return NULL;
}

void nd_rules_end_section(struct nd_rules *rules) {
    unsigned end = rules->section.first_rule + rules->section.rule_count;
    unsigned first = rules->section.rule_count > 0 ? rules->rules[rules->section.first_rule].first : 0;
    for (unsigned i = rules->section.first_rule; i < end; i++)
        rules->rules[i].count = (uint16_t)(rules->value_count - first);
    if (rules->section.rule_count > 0 && rules->value_count > first) {
        rules->count = end;
        for (unsigned i = rules->section.first_rule; i < end; i++) {
            rules->has_names |= rules->rules[i].where.kind == ND_ENDPOINT_NAME;
            rules->has_inbound |= rules->rules[i].inbound;
        }
    }
    memset(&rules->section, 0, sizeof rules->section);
    rules->section.first_rule = rules->count;
}

static const char *read_header_words(struct nd_rules *rules, struct nd_word header, unsigned number,
                                     struct nd_word *word, bool *for_us) {
    enum clause clause = NOTHING;
    unsigned words = 0; /* of the clause */
    uint32_t rank = 0;
    bool names_programs = false;
    while (nd_program_next(&header, word)) {
        enum clause next = keyword(*word);
        if (next != NOTHING) {
            if (words == 0 && (clause == PROGRAM || clause == DESTINATION))
                return "stands where a name is needed";
            clause = next;
            names_programs |= clause == PROGRAM;
        }
        const char *wrong = next != NOTHING ? begin_clause(rules, clause, &words)
                                            : (words++, take_header_word(rules, clause, *word, number, &rank));
        if (wrong)
            return wrong;
    }
    if (words == 0 && (clause == PROGRAM || clause == DESTINATION || clause == NOTHING))
        return "names nothing";
    *for_us = !names_programs || rank > 0;
    rules->section.program_rank = rank;
    return NULL;
}

void nd_rules_take_header(struct nd_rules *rules, struct nd_word header, unsigned number) {
    size_t text_before = rules->text_size;
    struct nd_word word = header;
    bool for_us = false;
    nd_rules_end_section(rules);
    rules->section.has_names_only = true;
    const char *wrong = read_header_words(rules, header, number, &word, &for_us);
    if (wrong)
        nd_rules_wrong_word(rules, number, word.size > 0 ? word : header, wrong);
    for (unsigned i = 0; i < rules->section.rule_count; i++) {
        struct nd_rule *rule = &rules->rules[rules->section.first_rule + i];
        rule->rank |= rules->section.program_rank << PROGRAM_SHIFT;
        rule->first = (uint16_t)rules->value_count;
    }
    rules->section.is_broken = wrong != NULL;
    rules->section.is_ignored = wrong || !for_us;
    if (rules->section.is_ignored)
        rules->text_size = text_before;
}
