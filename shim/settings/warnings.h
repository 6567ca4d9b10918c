/* Warnings about the settings, gathered into one line. */
#ifndef ND_SETTINGS_WARNINGS_H
#define ND_SETTINGS_WARNINGS_H

#include <stddef.h>

/* Complaints gathered into one line, because the library may say only one (law 2). */
struct nd_warnings {
    char text[512];
    size_t used;
    unsigned untold; /* that did not fit any more */
};

void nd_warnings_start(struct nd_warnings *complaints);

/* Adds one; has the form of nd_settings_from_environment's `complain`. `complaints` is a struct nd_warnings. */
void nd_warnings_add(const char *text, void *complaints);

/* The line, "netdeadline: A; B; and 3 more", without newline; NULL when there was no complaint. Valid as long as
 * *complaints is. To be called once, last. */
const char *nd_warnings_line(struct nd_warnings *complaints);

#endif
