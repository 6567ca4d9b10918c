#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct terminal_colours terminal_colours(FILE *to) {
    static const struct terminal_colours none = {"", "", "", ""},
                                         all = {"\033[33m", "\033[1;31m", "\033[36m", "\033[0m"};
    const char *unwanted = getenv("NO_COLOR"), *kind = getenv("TERM");
    bool are_shown = isatty(fileno(to)) && !(unwanted && unwanted[0]) && kind && strcmp(kind, "dumb") != 0;
    return are_shown ? all : none;
}

size_t terminal_width(FILE *to) {
    struct winsize size;
    return ioctl(fileno(to), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void terminal_bar(char *out, size_t width, uint64_t value, uint64_t most, char rest) {
    size_t filled = width;
    if (most > 0 && value < most)
        filled = (size_t)((long double)value * (long double)width / (long double)most);
    if (value == 0)
        filled = 0;
    else if (filled == 0 && width > 0)
        filled = 1;
    memset(out, '#', filled);
    memset(out + filled, rest, width - filled);
    out[width] = '\0';
}
