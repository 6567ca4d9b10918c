/* Warnings of lines of the config file. */

#include "base/line.h"
#include "shim/settings/rules_parse.h"

static void start_warning(const struct nd_rules *rules, struct nd_line *line, char *text, size_t size,
                          unsigned number) {
    nd_line_start(line, text, size);
    nd_line_put_escaped(line, rules->file, strlen(rules->file), 160);
    nd_line_put_char(line, ':');
    if (number > 0) {
        nd_line_put_number(line, number, 1);
        nd_line_put_char(line, ':');
    }
    nd_line_put_char(line, ' ');
}

void nd_rules_wrong(const struct nd_rules *rules, unsigned number, const char *what) {
    char text[400];
    struct nd_line line;
    start_warning(rules, &line, text, sizeof text, number);
    nd_line_put(&line, what);
    rules->warn(text, rules->arg);
}

void nd_rules_wrong_word(const struct nd_rules *rules, unsigned number, struct nd_word word, const char *what) {
    char text[400];
    struct nd_line line;
    start_warning(rules, &line, text, sizeof text, number);
    nd_line_put_char(&line, '"');
    nd_line_put_escaped(&line, word.at, word.size, 64);
    nd_line_put(&line, "\" ");
    nd_line_put(&line, what);
    rules->warn(text, rules->arg);
}
