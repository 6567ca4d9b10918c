#include "resolver/musl_conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/musl_lines.h"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The number behind `option` in the line, `most` at most; `*value` stays where there is none. */
static void read_option(const char *line, const char *option, bool point, unsigned most, unsigned *value) {
    const char *at = strstr(line, option);
    if (!at)
        return;
    at += strlen(option);
    if (!is_digit(*at) && !(point && *at == '.'))
        return;
    char *end;
    unsigned long number = strtoul(at, &end, 10);
    if (end != at)
        *value = number > most ? most : (unsigned)number;
}

static bool is_line(const char *line, const char *keyword) {
    size_t length = strlen(keyword);
    return strncmp(line, keyword, length) == 0 && nd_musl_is_space(line[length]);
}

static void add_server(struct nd_musl_conf *conf, char *text) {
    struct nd_musl_address a;
    if (conf->server_count == ND_MAX_SERVERS)
        return;
    *nd_musl_word_end(text) = '\0';
    if (nd_musl_numeric(&a, text, AF_UNSPEC) > 0)
        nd_musl_sockaddr(&conf->servers[conf->server_count++], &a, 53);
}

void nd_musl_conf_line(struct nd_musl_conf *conf, char *line) {
    if (is_line(line, "options")) {
        read_option(line, "ndots:", false, 15, &conf->ndots);
        read_option(line, "attempts:", false, 10, &conf->attempts);
        read_option(line, "timeout:", true, 60, &conf->timeout_s);
    } else if (is_line(line, "nameserver")) {
        add_server(conf, nd_musl_word_next(line + sizeof "nameserver"));
    } else if (is_line(line, "domain") || is_line(line, "search")) { /* the last one counts */
        const char *list = nd_musl_word_next(line + sizeof "search");
        size_t length = strlen(list);
        if (length < sizeof conf->search)
            memcpy(conf->search, list, length + 1);
    }
}

int nd_musl_conf_read(struct nd_musl_conf *conf) {
    struct nd_musl_lines lines;
    char line[256];
    *conf = (struct nd_musl_conf){.ndots = 1, .attempts = 2, .timeout_s = 5};
    int error = nd_musl_lines_open(&lines, "/etc/resolv.conf");
    if (error && error != ENOENT)
        return error;
    while (!error && nd_musl_lines_next(&lines, line, sizeof line)) {
        if (strlen(line) == sizeof line - 1 && !strchr(line, '\n')) /* too long: passed over */
            nd_musl_lines_skip(&lines);
        else
            nd_musl_conf_line(conf, line);
    }
    if (!error)
        nd_musl_lines_close(&lines);
    if (conf->server_count == 0) {
        char local[] = "127.0.0.1";
        add_server(conf, local);
    }
    if (conf->attempts == 0) /* musl divides by it, and the program is killed */
        conf->attempts = 1;
    return 0;
}
