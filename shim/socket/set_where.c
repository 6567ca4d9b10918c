#include "shim/socket/set_where.h"

/* The line of the last rule that sets the row: rules stand in the order of their ranks. */
static uint16_t line_in_rules(const struct nd_rules *rules, const struct nd_rule_set *set, size_t row) {
    uint16_t line = 0;
    for (unsigned i = 0; i < rules->count; i++)
        for (unsigned j = 0; nd_rule_set_has(set, i) && j < rules->rules[i].count; j++)
            if (rules->values[rules->rules[i].first + j].setting == row)
                line = rules->values[rules->rules[i].first + j].line;
    return line;
}

/* The row whose value this one takes where it has none of its own. */
static size_t followed_by(size_t row) {
    for (size_t i = 0; i < nd_setting_count; i++)
        if (nd_setting_table[i].follower && nd_setting_table[i].follower == nd_setting_table[row].field)
            return i;
    return row;
}

struct nd_set_where nd_set_where(const struct nd_rules *rules, const struct nd_rule_set *set,
                                 const struct nd_setting *setting) {
    size_t row = (size_t)(setting - nd_setting_table);
    const bool is_own = (rules->from_environment >> row & 1) || rules->base_line[row];
    uint16_t line = rules->from_environment >> row & 1 ? 0 : line_in_rules(rules, set, row);
    if (line)
        return (struct nd_set_where){ND_SET_BY_FILE, line};
    row = is_own ? row : followed_by(row);
    if (rules->from_environment >> row & 1)
        return (struct nd_set_where){ND_SET_BY_ENVIRONMENT, 0};
    line = rules->base_line[row];
    return (struct nd_set_where){line ? ND_SET_BY_FILE : ND_SET_BY_DEFAULT, line};
}
