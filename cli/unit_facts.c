#include "cli/unit_facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/child.h"

enum { ASK_SECONDS = 20 };

/* An instance of a template that is asked about in its place: systemd knows a template's settings by its instances. */
#define INSTANCE "netdeadline"

bool unit_facts_is_template(const char *unit) {
    const char *at = strchr(unit, '@');
    return at && strcmp(at, "@.service") == 0;
}

char *unit_facts_ask(const char *unit) {
    static struct child_result result;
    char name[DROP_IN_MOST_NAME + 16 + sizeof INSTANCE];
    if (unit_facts_is_template(unit))
        snprintf(name, sizeof name, "%.*s" INSTANCE ".service", (int)(strchr(unit, '@') + 1 - unit), unit);
    else
        snprintf(name, sizeof name, "%s", unit);
    char *argv[] = {"systemctl", "show", "--no-pager", "--all", "--", name, NULL};
    child_run(argv, 0, ASK_SECONDS, false, &result);
    return result.status == 0 && result.size > 0 ? strdup(result.output) : NULL;
}

bool unit_facts_next(const char **from, const char *name, char *out, size_t size) {
    size_t length = strlen(name);
    out[0] = '\0';
    for (const char *line = *from; *line;) {
        size_t whole = strcspn(line, "\n");
        const char *behind = line + whole + (line[whole] == '\n');
        if (whole > length && line[length] == '=' && strncmp(line, name, length) == 0) {
            snprintf(out, size, "%.*s", (int)(whole - length - 1), line + length + 1);
            *from = behind;
            return out[0] != '\0';
        }
        line = behind;
    }
    return false;
}

bool unit_facts_value(const char *text, const char *name, char *out, size_t size) {
    return unit_facts_next(&text, name, out, size);
}

void unit_facts_own_name(const char *text, char unit[DROP_IN_MOST_NAME + 16]) {
    char id[256];
    if (!unit_facts_value(text, "Id", id, sizeof id))
        return;
    char *at = strchr(id, '@');
    if (unit_facts_is_template(unit) && at)
        strcpy(at, "@.service");
    if (drop_in_is_name(id))
        drop_in_whole_name(id, unit);
}
