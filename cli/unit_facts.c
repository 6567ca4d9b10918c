#include "cli/unit_facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/child.h"
#include "cli/drop_in.h"

enum { ASK_SECONDS = 20 };

char *unit_facts_ask(const char *unit) {
    static struct child_result result;
    char name[DROP_IN_MOST_NAME + 16];
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
