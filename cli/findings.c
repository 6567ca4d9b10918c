#include "cli/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/line.h"

static void print_escaped(const char *prefix, const char *text) {
    char escaped[4096];
    struct nd_line line;
    nd_line_start(&line, escaped, sizeof escaped);
    nd_line_put_escaped(&line, text, strlen(text), sizeof escaped);
    printf("%s%s\n", prefix, escaped);
}

void findings_start(struct findings *findings, const char *subject) {
    findings->bad = 0;
    print_escaped("", subject);
}

#define PRINT(prefix)                                                                                                  \
    do {                                                                                                               \
        char text[2048];                                                                                               \
        va_list args;                                                                                                  \
        va_start(args, format);                                                                                        \
        vsnprintf(text, sizeof text, format, args);                                                                    \
        va_end(args);                                                                                                  \
        print_escaped(prefix, text);                                                                                   \
    } while (0)

void finding_good(struct findings *findings, const char *format, ...) {
    (void)findings;
    PRINT("  good  ");
}

void finding_note(struct findings *findings, const char *format, ...) {
    (void)findings;
    PRINT("  note  ");
}

void finding_bad(struct findings *findings, const char *format, ...) {
    findings->bad++;
    PRINT("  bad   ");
}

int findings_end(const struct findings *findings) {
    return findings->bad > 0 ? 1 : 0;
}
