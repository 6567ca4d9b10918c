#include <string.h>

#include "base/line.h"
#include "shim/settings/warnings.h"

static const char start[] = "netdeadline: ";

enum { TAIL = sizeof "; and 4294967295 more" };

void nd_warnings_start(struct nd_warnings *complaints) {
    complaints->text[0] = '\0';
    complaints->used = 0;
    complaints->untold = 0;
}

void nd_warnings_add(const char *text, void *arg) {
    struct nd_warnings *complaints = arg;
    const char *joint = complaints->used == 0 ? start : "; ";
    size_t joint_length = strlen(joint);
    size_t length = strlen(text);
    if (complaints->untold > 0 || complaints->used + joint_length + length + TAIL > sizeof complaints->text) {
        complaints->untold++;
        return;
    }
    memcpy(complaints->text + complaints->used, joint, joint_length);
    memcpy(complaints->text + complaints->used + joint_length, text, length + 1);
    complaints->used += joint_length + length;
}

const char *nd_warnings_line(struct nd_warnings *complaints) {
    struct nd_line line = {.text = complaints->text, .size = sizeof complaints->text, .used = complaints->used};
    if (complaints->used == 0 && complaints->untold == 0)
        return NULL;
    if (complaints->untold > 0) {
        nd_line_put(&line, complaints->used == 0 ? "netdeadline: bad settings: " : "; and ");
        nd_line_put_number(&line, complaints->untold, 1);
        nd_line_put(&line, complaints->used == 0 ? "" : " more");
    }
    complaints->used = line.used;
    return complaints->text;
}
