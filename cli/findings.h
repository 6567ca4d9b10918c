/* The findings of `netdeadline check`: one line each, and a status at the end. */
#pragma once

struct findings {
    int bad;
};

/* Prints what is looked at. All text is escaped, here and in each finding, because it may come from a hostile file and
 * go to a terminal. */
void findings_start(struct findings *findings, const char *subject);

void finding_good(struct findings *findings, const char *format, ...) __attribute__((format(printf, 2, 3)));
void finding_note(struct findings *findings, const char *format, ...) __attribute__((format(printf, 2, 3)));
void finding_bad(struct findings *findings, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The exit status: 0, or 1 where something was bad. */
int findings_end(const struct findings *findings);
