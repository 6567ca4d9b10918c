#include "resolver/host_conf.h"

#include <stdlib.h>

#include "base/words.h"
#include "resolver/file_cache.h"

struct settings {
    bool multi, reorder, trim, overridden;
};

static bool is_overridden(void) {
    static const char *const variables[] = {"RESOLV_HOST_CONF", "RESOLV_MULTI", "RESOLV_REORDER",
                                            "RESOLV_ADD_TRIM_DOMAINS", "RESOLV_OVERRIDE_TRIM_DOMAINS"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (getenv(variables[i]))
            return true;
    return false;
}

static void *parse_host_conf(struct nd_snapshot *s) {
    struct settings *settings = calloc(1, sizeof *settings);
    struct nd_word text = {s->text, s->size}, line, word;
    if (settings)
        settings->overridden = is_overridden();
    while (settings && nd_next_line(&text, &line)) {
        nd_cut_at(&line, '#');
        if (!nd_next_word(&line, &word))
            continue;
        if (nd_word_is_nocase(word, "trim")) {
            settings->trim = true;
            continue;
        }
        bool *target = nd_word_is_nocase(word, "multi")     ? &settings->multi
                       : nd_word_is_nocase(word, "reorder") ? &settings->reorder
                                                            : NULL;
        if (target && nd_next_word(&line, &word)) { /* glibc compares only the first letters */
            if (word.size >= 2 && strncasecmp(word.at, "on", 2) == 0)
                *target = true;
            else if (word.size >= 3 && strncasecmp(word.at, "off", 3) == 0)
                *target = false;
        }
    }
    return settings;
}

static struct nd_file host_conf_file = {
    .path = "/etc/host.conf", .parse = parse_host_conf, .destroy = free, .once = true};

const char *nd_host_conf(bool *multi) {
    struct nd_snapshot *s = nd_file_get(&host_conf_file);
    const struct settings none = {0}, *settings = s && s->parsed ? s->parsed : &none;
    *multi = settings->multi;
    const char *why = settings->overridden ? "host.conf is overridden in the environment"
                      : settings->reorder  ? "host.conf: reorder"
                      : settings->trim     ? "host.conf: trim"
                                           : NULL;
    nd_file_put(s);
    return why;
}
