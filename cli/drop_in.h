/* The file that puts a systemd service under the library: /etc/systemd/system/NAME.service.d/netdeadline.conf. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "cli/options.h"

#define DROP_IN_UNITS "/etc/systemd/system"
#define DROP_IN_FILE "netdeadline.conf"

enum { DROP_IN_MOST_NAME = 255 };

/* Whether this can be the name of a service, with or without ".service" at its end. */
bool drop_in_is_name(const char *name);

/* Writes the whole name, which ends with ".service". */
void drop_in_whole_name(const char *name, char out[DROP_IN_MOST_NAME + 16]);

/* Writes where the drop-in of a service stands. `unit` is a whole name. */
void drop_in_path(const char *unit, char out[PATH_MAX]);

struct drop_in {
    const char *unit;    /* its name, whole or not */
    const char *preload; /* the value of LD_PRELOAD */
    const struct options *options;
    const char *exec_path; /* what must be executable for the service besides, or NULL */
    const char *copy;      /* a copy of the library that is removed with the drop-in, or NULL */
};

/* Prints a value for inside double quotes, where systemd reads C escapes, and `%` as a specifier. */
void drop_in_print_quoted(FILE *to, const char *value);

/* Prints an Environment= line for each setting that was given. */
void drop_in_print_settings(FILE *to, const struct options *options);

void drop_in_print(FILE *to, const struct drop_in *drop_in);

/* Whether the text of a drop-in was written by this command, whose words it begins with. */
bool drop_in_is_ours(const char *text);

/* Reads which copy of the library is to be removed with the drop-in. Returns whether there is one. */
bool drop_in_copy(const char *text, char out[PATH_MAX]);
