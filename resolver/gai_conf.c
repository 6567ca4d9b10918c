#include "resolver/gai_conf.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/words.h"
#include "resolver/file_cache.h"

/* Any line that is not a comment counts as a change, also "reload" and invalid ones: only glibc knows their effect. */
static void *parse_gai_conf(struct nd_snapshot *s) {
    struct nd_word text = {s->text, s->size}, line, word;
    bool *changes = calloc(1, sizeof *changes);
    while (changes && nd_next_line(&text, &line)) {
        nd_cut_at(&line, '#');
        if (nd_next_word(&line, &word))
            *changes = true;
    }
    return changes;
}

static struct nd_file gai_conf_file = {.path = "/etc/gai.conf", .parse = parse_gai_conf, .destroy = free, .once = true};

const char *nd_gai_conf(void) {
    struct nd_snapshot *s = nd_file_get(&gai_conf_file);
    bool changes = s && s->parsed && *(bool *)s->parsed;
    nd_file_put(s);
    return changes ? "gai.conf is not the default" : NULL;
}
