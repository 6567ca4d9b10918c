/* What systemd says of a service: the output of `systemctl show`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/drop_in.h"

/* Asks for a service. Returns the text, which the caller frees, or NULL where systemd does not answer. */
char *unit_facts_ask(const char *unit);

/* Writes the value of the first line NAME=VALUE behind `*from`, and puts `*from` behind that line. Returns whether there
 * is one that is not empty. */
bool unit_facts_next(const char **from, const char *name, char *out, size_t size);

/* The same for a property that there is once. */
bool unit_facts_value(const char *text, const char *name, char *out, size_t size);

/* Whether the unit's name is that of a template, of which `NAME@.service` has instances. */
bool unit_facts_is_template(const char *unit);

/* Replaces the name of the unit, or of the template, by its own where it was given by another. */
void unit_facts_own_name(const char *text, char unit[DROP_IN_MOST_NAME + 16]);
