#include <string.h>

#include "base/line.h"
#include "shim/settings/warnings.h"

static const char start[] = "netdeadline: ";

enum { TAIL = sizeof "; and 4294967295 more" };

void nd_warnings_start(struct nd_warnings *warnings) {
    warnings->text[0] = '\0';
    warnings->used = 0;
    warnings->left_out = 0;
}

void nd_warnings_add(const char *text, void *arg) {
    struct nd_warnings *warnings = arg;
    const char *separator = warnings->used == 0 ? start : "; ";
    size_t separator_length = strlen(separator);
    size_t length = strlen(text);
    if (warnings->left_out > 0 || warnings->used + separator_length + length + TAIL > sizeof warnings->text) {
        warnings->left_out++;
        return;
    }
    memcpy(warnings->text + warnings->used, separator, separator_length);
    memcpy(warnings->text + warnings->used + separator_length, text, length + 1);
    warnings->used += separator_length + length;
}

const char *nd_warnings_line(struct nd_warnings *warnings) {
    struct nd_line line = {.text = warnings->text, .size = sizeof warnings->text, .used = warnings->used};
    if (warnings->used == 0 && warnings->left_out == 0)
        return NULL;
    if (warnings->left_out > 0) {
        nd_line_put(&line, warnings->used == 0 ? "netdeadline: bad settings: " : "; and ");
        nd_line_put_number(&line, warnings->left_out, 1);
        nd_line_put(&line, warnings->used == 0 ? "" : " more");
    }
    warnings->used = line.used;
    return warnings->text;
}
