/* Gathers warnings about the settings into one line. */
#pragma once

#include <stddef.h>

/* Warnings of a process, in one line, because the library prints no more than that. */
struct nd_warnings {
    char text[512];
    size_t used;
    unsigned left_out; /* warnings that did not fit */
};

/* Begins without any. To be called before nd_warnings_add. */
void nd_warnings_start(struct nd_warnings *warnings);

/* Adds a warning. `warnings` is a struct nd_warnings: this is the `warn` of nd_rules_start and
 * nd_settings_from_environment. */
void nd_warnings_add(const char *text, void *warnings);

/* The line, "netdeadline: A; B; and 3 more", without newline; NULL where there is no warning. Called once, at the end.
 * The text is part of *warnings. */
const char *nd_warnings_line(struct nd_warnings *warnings);
