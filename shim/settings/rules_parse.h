/* What the parts of the config file's parser share. */
#pragma once

#include "shim/settings/rules.h"

/* Warns: FILE:LINE: "WORD" WHAT. */
void nd_rules_wrong_word(const struct nd_rules *rules, unsigned number, struct nd_word word, const char *what);

/* Begins the section with this header, given without its brackets: `program wget curl destination 10.0.0.0/8:443`. */
void nd_rules_take_header(struct nd_rules *rules, struct nd_word header, unsigned number);

/* Ends the section being read, and begins one that holds everywhere. */
void nd_rules_end_section(struct nd_rules *rules);
