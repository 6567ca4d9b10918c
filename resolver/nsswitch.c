#include "resolver/nsswitch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/words.h"
#include "resolver/file_cache.h"
#include "resolver/libc_version.h"

static struct nd_file nsswitch_file = {.path = "/etc/nsswitch.conf", .of_first_root = true};

#define WORD(literal) ((struct nd_word){literal, sizeof(literal) - 1})

static const char unreadable[] = "nsswitch.conf cannot be read";

/* The last line for `database` counts, as in glibc >= 2.34, which takes a "#" behind it for a source, and the words
 * after that, too. False: there is none. */
static bool find_database(struct nd_word text, const char *database, struct nd_word *value) {
    struct nd_word line;
    bool found = false;
    while (nd_next_line(&text, &line)) {
        if (nd_libc_before(34))
            nd_cut_at(&line, '#');
        while (line.size > 0 && nd_is_space(*line.at))
            line.at++, line.size--;
        struct nd_word name = line;
        nd_cut_at(&name, ':');
        struct nd_word rest = name, bare;
        if (name.size == line.size || !nd_next_word(&rest, &bare) || !nd_word_is(bare, database))
            continue;
        value->at = line.at + name.size + 1;
        value->size = line.size - name.size - 1;
        found = true;
    }
    return found;
}

/* One source, with the actions that follow it in brackets. */
struct entry {
    struct nd_word source;
    struct nd_word actions; /* size 0: none */
    bool broken;
};

static bool next_entry(struct nd_word *value, struct entry *e) {
    *e = (struct entry){0};
    if (!nd_next_word(value, &e->source))
        return false;
    const char *bracket = memchr(e->source.at, '[', e->source.size);
    if (bracket) { /* "files[NOTFOUND=return]", or a bracket without a source */
        value->size += (size_t)(e->source.at + e->source.size - bracket);
        value->at = bracket;
        e->source.size = (size_t)(bracket - e->source.at);
        e->broken = e->source.size == 0;
    }
    while (value->size > 0 && nd_is_space(*value->at))
        value->at++, value->size--;
    if (value->size > 0 && *value->at == '[') {
        e->actions = *value;
        nd_cut_at(&e->actions, ']');
        e->broken |= e->actions.size == value->size;
        size_t used = e->broken ? value->size : e->actions.size + 1;
        e->actions.at++;
        e->actions.size--;
        value->at += used;
        value->size -= used;
    }
    return true;
}

enum actions { DEFAULT, END_AT_SUCCESS, OTHER, BROKEN };

/* "STATUS=ACTION", in which an exclamation mark stands for all other states. Sets *success_returns where it is
 * about success. */
static enum actions read_action(struct nd_word word, bool last, bool *success_returns) {
    struct nd_word status = word;
    nd_cut_at(&status, '=');
    if (status.size == word.size)
        return BROKEN;
    struct nd_word action = {status.at + status.size + 1, word.size - status.size - 1};
    bool others = status.size > 0 && *status.at == '!';
    status.at += others;
    status.size -= others;
    bool success = nd_word_is_nocase(status, "SUCCESS");
    if (!success && !nd_word_is_nocase(status, "NOTFOUND") && !nd_word_is_nocase(status, "UNAVAIL") &&
        !nd_word_is_nocase(status, "TRYAGAIN"))
        return BROKEN;
    bool is_return = nd_word_is_nocase(action, "return"), is_merge = nd_word_is_nocase(action, "merge");
    if (!is_return && !is_merge && !nd_word_is_nocase(action, "continue"))
        return BROKEN;
    if (success != others)
        *success_returns = is_return;
    return !others && !is_merge && (success == is_return || (last && is_return)) ? DEFAULT : OTHER;
}

/* On the last source "return" has no effect. */
static enum actions read_actions(struct nd_word actions, bool last) {
    struct nd_word word;
    bool success_returns = true, all_default = true;
    while (nd_next_word(&actions, &word)) {
        enum actions one = read_action(word, last, &success_returns);
        if (one == BROKEN)
            return BROKEN;
        all_default &= one == DEFAULT;
    }
    return all_default ? DEFAULT : success_returns ? END_AT_SUCCESS : OTHER;
}

static bool has_suffix(const char *name, const char *suffix) {
    size_t n = strlen(name), s = strlen(suffix);
    if (n > 0 && name[n - 1] == '.')
        n--;
    return n >= s && strncasecmp(name + n - s, suffix, s) == 0;
}

static bool is_name(const char *name, const char *which) {
    size_t n = strlen(name);
    if (n > 0 && name[n - 1] == '.')
        n--;
    return n == strlen(which) && strncasecmp(name, which, n) == 0;
}

/* The names that systemd's myhostname answers. */
static bool is_own_name(const char *name) {
    char own[65] = "";
    if (is_name(name, "localhost") || has_suffix(name, ".localhost") || is_name(name, "localhost.localdomain") ||
        has_suffix(name, ".localhost.localdomain") || is_name(name, "_gateway") || is_name(name, "_outbound") ||
        is_name(name, "_localdnsstub") || is_name(name, "_localdnsproxy"))
        return true;
    return gethostname(own, sizeof own - 1) != 0 || is_name(name, own);
}

static const char *add_source(struct nd_sources *sources, enum nd_source source, enum actions actions) {
    if (sources->count == ND_MAX_SOURCES)
        return "nsswitch.conf: many sources";
    if (actions != OTHER)
        sources->list[sources->count++] = source;
    return actions == DEFAULT ? NULL : "nsswitch.conf: an action that is not the default";
}

static const char *decide_entry(struct nd_sources *sources, const struct entry *e, const char *name,
                                enum actions actions) {
    if (nd_word_is(e->source, "files"))
        return add_source(sources, ND_SOURCE_FILES, actions);
    if (nd_word_is(e->source, "dns"))
        return add_source(sources, ND_SOURCE_DNS, actions);
    if (nd_word_is(e->source, "myhostname"))
        return !name || is_own_name(name) ? "nsswitch.conf: myhostname" : NULL;
    if (nd_word_starts(e->source, "mdns"))
        return !name || has_suffix(name, ".local") || access("/etc/mdns.allow", F_OK) == 0 ? "nsswitch.conf: mdns"
                                                                                           : NULL;
    if (nd_word_starts(e->source, "#")) /* libc finds no module of this name */
        return NULL;
    return "nsswitch.conf: a source other than files and dns";
}

/* What the files have is the answer, whatever is asked after them. What DNS has would be asked for twice where it does
 * not have the name. */
static void keep_files(struct nd_sources *sources) {
    int count = 0;
    while (count < sources->count && sources->list[count] == ND_SOURCE_FILES)
        count++;
    sources->count = count;
}

const char *nd_nsswitch_decide(struct nd_sources *sources, const char *text, size_t size, const char *name) {
    struct nd_word value;
    struct entry e, following;
    *sources = (struct nd_sources){0};
    if (!find_database((struct nd_word){text, size}, "hosts", &value))
        value = nd_libc_before(35) ? WORD("dns [!UNAVAIL=return] files") : WORD("files dns");
    bool more = next_entry(&value, &e);
    while (more) {
        more = next_entry(&value, &following);
        enum actions actions = read_actions(e.actions, !more);
        if (e.broken || actions == BROKEN)
            return "nsswitch.conf: syntax";
        if (!sources->rest_why)
            sources->rest_why = decide_entry(sources, &e, name, actions);
        e = following;
    }
    if (sources->rest_why)
        keep_files(sources);
    return sources->count ? NULL : sources->rest_why ? sources->rest_why : "nsswitch.conf: no source that we know";
}

/* What the program has set, as a line of the file; NULL: nothing. libc never frees it either. */
static char *own_hosts, *own_services;

void nd_nsswitch_configure(const char *database, const char *line) {
    char **own = strcmp(database, "hosts") == 0 ? &own_hosts : strcmp(database, "services") == 0 ? &own_services : NULL;
    size_t size = strlen(database) + strlen(line) + 3;
    int saved = errno;
    char *text = own ? malloc(size) : NULL;
    if (text) {
        snprintf(text, size, "%s:%s\n", database, line);
        __atomic_store_n(own, text, __ATOMIC_RELEASE);
    }
    errno = saved;
}

bool nd_nsswitch_is_configured(void) {
    return __atomic_load_n(&own_hosts, __ATOMIC_RELAXED) != NULL;
}

const char *nd_nsswitch_hosts(struct nd_sources *sources, const char *name) {
    const char *own = __atomic_load_n(&own_hosts, __ATOMIC_ACQUIRE);
    if (own)
        return nd_nsswitch_decide(sources, own, strlen(own), name);
    struct nd_snapshot *s = nd_file_get(&nsswitch_file);
    const char *why = unreadable;
    if (s && (!s->error || s->error == ENOENT))
        why = nd_nsswitch_decide(sources, s->text, s->size, name);
    nd_file_put(s);
    return why;
}

static const char *decide_services(struct nd_word text) {
    struct nd_word value;
    struct entry e;
    bool files = false;
    if (!find_database(text, "services", &value))
        return NULL;
    while (next_entry(&value, &e)) {
        /* Debian's default is "db files"; without its database file, db has no entries */
        bool db = nd_word_is(e.source, "db") && access("/var/lib/misc/services.db", F_OK) != 0 &&
                  access("/var/db/services.db", F_OK) != 0;
        db |= nd_word_starts(e.source, "#");
        files |= nd_word_is(e.source, "files");
        if (e.broken || e.actions.size || (!db && !nd_word_is(e.source, "files")))
            return "nsswitch.conf: services from a source other than files";
    }
    return files ? NULL : "nsswitch.conf: services without files";
}

const char *nd_nsswitch_services(void) {
    const char *own = __atomic_load_n(&own_services, __ATOMIC_ACQUIRE);
    if (own)
        return decide_services((struct nd_word){own, strlen(own)});
    struct nd_snapshot *s = nd_file_get(&nsswitch_file);
    bool good = s && (!s->error || s->error == ENOENT);
    const char *why = good ? decide_services((struct nd_word){s->text, s->size}) : unreadable;
    nd_file_put(s);
    return why;
}
