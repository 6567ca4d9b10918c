/* What systemd says of a service: the output of `systemctl show`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Asks for a service. Returns the text, which the caller frees, or NULL where systemd does not answer. */
char *unit_facts_ask(const char *unit);

/* Writes the value of the first line NAME=VALUE behind `*from`, and puts `*from` behind that line. Returns whether there
 * is one that is not empty. */
bool unit_facts_next(const char **from, const char *name, char *out, size_t size);

/* The same for a property that there is once. */
bool unit_facts_value(const char *text, const char *name, char *out, size_t size);
