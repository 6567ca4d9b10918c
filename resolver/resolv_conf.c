#include "resolver/resolv_conf.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/words.h"
#include "resolver/file_cache.h"
#include "resolver/libc_version.h"
#include "resolver/lock.h"
#include "resolver/numeric.h"

#define MAX_NDOTS 15
#define MAX_TIMEOUT_S 30
#define MAX_ATTEMPTS 5

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static bool next_blank_word(struct nd_word *line, struct nd_word *word) {
    while (line->size > 0 && is_blank(*line->at))
        line->at++, line->size--;
    word->at = line->at;
    while (line->size > 0 && !is_blank(*line->at))
        line->at++, line->size--;
    word->size = (size_t)(line->at - word->at);
    return word->size > 0;
}

static void clear_search(struct nd_resolv_conf *conf) {
    for (size_t i = 0; i < conf->search_count; i++)
        free(conf->search[i]);
    free(conf->search);
    conf->search = NULL;
    conf->search_count = 0;
}

/* False: out of memory. */
static bool add_search(struct nd_resolv_conf *conf, struct nd_word domain) {
    char **list = realloc(conf->search, (conf->search_count + 2) * sizeof *list);
    if (!list)
        return false;
    conf->search = list;
    list[conf->search_count] = strndup(domain.at, domain.size);
    if (!list[conf->search_count])
        return false;
    list[++conf->search_count] = NULL;
    return true;
}

bool nd_resolv_conf_set_search(struct nd_resolv_conf *conf, char *const *domains, size_t count) {
    clear_search(conf);
    for (size_t i = 0; i < count; i++)
        if (!add_search(conf, (struct nd_word){domains[i], strlen(domains[i])}))
            return false;
    return true;
}

static void read_search(struct nd_resolv_conf *conf, struct nd_word line, bool first_only) {
    struct nd_word word;
    if (!next_blank_word(&line, &word))
        return;
    clear_search(conf);
    do
        add_search(conf, word);
    while (!first_only && next_blank_word(&line, &word));
}

/* LOCALDOMAIN: the first domain begins where the value does, and is empty before a blank. */
static void read_localdomain(struct nd_resolv_conf *conf, const char *value) {
    struct nd_word line = {value, strlen(value)}, word;
    nd_cut_at(&line, '\n');
    if (line.size == 0 || is_blank(*line.at))
        add_search(conf, (struct nd_word){"", 0});
    while (next_blank_word(&line, &word))
        add_search(conf, word);
}

static void read_server(struct nd_resolv_conf *conf, struct nd_word line) {
    struct nd_word word;
    char text[128];
    if (conf->server_count == ND_MAX_SERVERS || !next_blank_word(&line, &word) || word.size >= sizeof text)
        return;
    memcpy(text, word.at, word.size);
    text[word.size] = '\0';

    union nd_server *server = &conf->servers[conf->server_count];
    memset(server, 0, sizeof *server);
    if (nd_parse_ipv4(text, &server->v4.sin_addr)) {
        server->v4.sin_family = AF_INET;
        server->v4.sin_port = htons(53);
        conf->server_count++;
        return;
    }
    bool scope_good; /* an invalid scope is ignored, as in glibc */
    if (!nd_parse_ipv6(text, &server->v6.sin6_addr, &server->v6.sin6_scope_id, &scope_good))
        return;
    server->v6.sin6_family = AF_INET6;
    server->v6.sin6_port = htons(53);
    conf->server_count++;
}

/* Returns atoi() of the text after the colon, at most `limit`. */
static int read_number(struct nd_word word, const char *name, int limit) {
    size_t i = strlen(name);
    bool negative = i < word.size && word.at[i] == '-';
    int value = 0;
    if (i < word.size && (word.at[i] == '-' || word.at[i] == '+'))
        i++;
    for (; i < word.size && word.at[i] >= '0' && word.at[i] <= '9'; i++)
        if (value < 100000)
            value = value * 10 + (word.at[i] - '0');
    return negative ? -value : value > limit ? limit : value;
}

static bool read_flag(struct nd_resolv_conf *conf, struct nd_word word) {
    const struct {
        const char *name;
        bool *flag; /* NULL: a known option without effect on answers */
    } flags[] = {
        {"rotate", &conf->rotate},
        {"edns0", &conf->edns0},
        {"single-request-reopen", &conf->single_request_reopen},
        {"single-request", &conf->single_request},
        {"no_tld_query", &conf->no_tld_query},
        {"no-tld-query", &conf->no_tld_query},
        {"no-reload", &conf->no_reload},
        {"use-vc", &conf->use_vc},
        {"trust-ad", &conf->trust_ad},
        {"no-aaaa", &conf->no_aaaa},
        {"debug", NULL},
        {"no-check-names", NULL},
        {"insecure1", NULL},
        {"insecure2", NULL},
        {"ip6-dotint", NULL},
        {"no-ip6-dotint", NULL},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (!nd_word_starts(word, flags[i].name)) /* glibc compares only the beginning of the word, too */
            continue;
        if (flags[i].flag)
            *flags[i].flag = true;
        return true;
    }
    return false;
}

static void read_inet6(struct nd_resolv_conf *conf) {
    if (!nd_libc_before(30))
        return;
    conf->inet6 = true;
    conf->libc_why = "resolv.conf: inet6";
}

static void read_options(struct nd_resolv_conf *conf, struct nd_word line) {
    struct nd_word word;
    while (next_blank_word(&line, &word)) {
        if (nd_word_starts(word, "ndots:"))
            conf->ndots = read_number(word, "ndots:", MAX_NDOTS) & 15; /* it is a field of four bits in libc */
        else if (nd_word_starts(word, "timeout:"))
            conf->timeout_s = read_number(word, "timeout:", MAX_TIMEOUT_S);
        else if (nd_word_starts(word, "attempts:"))
            conf->attempts = read_number(word, "attempts:", MAX_ATTEMPTS);
        else if (nd_word_starts(word, "inet6"))
            read_inet6(conf);
        else if (!read_flag(conf, word) && nd_word_starts(word, "strict-error")) /* others are unknown to libc, too */
            conf->libc_why = "resolv.conf: strict-error";
    }
}

/* Whether the line is `keyword` followed by a blank; *rest is the text after the keyword. */
static bool keyword_is(struct nd_word line, const char *keyword, struct nd_word *rest) {
    size_t size = strlen(keyword);
    if (line.size <= size || memcmp(line.at, keyword, size) != 0 || !is_blank(line.at[size]))
        return false;
    rest->at = line.at + size;
    rest->size = line.size - size;
    return true;
}

static void read_line(struct nd_resolv_conf *conf, struct nd_word line, bool fixed_search) {
    struct nd_word rest;
    nd_cut_at(&line, '\0');
    if (line.size == 0 || *line.at == ';' || *line.at == '#')
        return;
    if (keyword_is(line, "nameserver", &rest))
        read_server(conf, rest);
    else if (keyword_is(line, "options", &rest))
        read_options(conf, rest);
    else if (keyword_is(line, "search", &rest)) {
        if (!fixed_search)
            read_search(conf, rest, false);
    } else if (keyword_is(line, "domain", &rest)) {
        if (!fixed_search)
            read_search(conf, rest, true);
    } else if (keyword_is(line, "sortlist", &rest))
        nd_sortlist_read(&conf->sortlist, rest);
}

static void set_default_domain(struct nd_resolv_conf *conf, const char *hostname) {
    const char *dot = hostname ? strchr(hostname, '.') : NULL;
    if (dot)
        add_search(conf, (struct nd_word){dot + 1, strlen(dot + 1)});
}

struct nd_resolv_conf *nd_resolv_conf_parse(const char *text, size_t size, const char *localdomain,
                                            const char *res_options, const char *hostname) {
    struct nd_resolv_conf *conf = calloc(1, sizeof *conf);
    if (!conf)
        return NULL;
    conf->references = 1;
    conf->ndots = 1;
    conf->timeout_s = 5;
    conf->attempts = 2;
    if (localdomain)
        read_localdomain(conf, localdomain);
    struct nd_word rest = {text, size}, line;
    while (nd_next_line(&rest, &line))
        read_line(conf, line, localdomain != NULL);
    if (conf->server_count == 0) {
        conf->servers[0].v4.sin_family = AF_INET;
        conf->servers[0].v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        conf->servers[0].v4.sin_port = htons(53);
        conf->server_count = 1;
    }
    if (conf->search_count == 0)
        set_default_domain(conf, hostname);
    if (res_options)
        read_options(conf, (struct nd_word){res_options, strlen(res_options)});
    return conf;
}

/* The versions that the file had while this process ran: a resolver state that is older than the file has only the
 * first six domains of the search list that it was made with. */
static struct {
    int lock;
    struct nd_resolv_conf *list[ND_RESOLV_CONF_VERSIONS]; /* the newest first */
} versions;

static void remember_version(struct nd_resolv_conf *conf) {
    struct nd_resolv_conf *last = NULL;
    if (!conf || !nd_lock_try(&versions.lock))
        return;
    if (!versions.list[0] || !nd_resolv_conf_same(versions.list[0], conf)) {
        last = versions.list[ND_RESOLV_CONF_VERSIONS - 1];
        memmove(versions.list + 1, versions.list, (ND_RESOLV_CONF_VERSIONS - 1) * sizeof(void *));
        versions.list[0] = conf;
        __atomic_add_fetch(&conf->references, 1, __ATOMIC_RELAXED);
    }
    nd_unlock(&versions.lock);
    nd_resolv_conf_put(last);
}

struct nd_resolv_conf *nd_resolv_conf_version(unsigned age) {
    struct nd_resolv_conf *conf = NULL;
    if (age < ND_RESOLV_CONF_VERSIONS && nd_lock_try(&versions.lock)) {
        conf = versions.list[age];
        if (conf)
            __atomic_add_fetch(&conf->references, 1, __ATOMIC_RELAXED);
        nd_unlock(&versions.lock);
    }
    return conf;
}

bool nd_resolv_conf_same(const struct nd_resolv_conf *a, const struct nd_resolv_conf *b) {
    bool same = a->server_count == b->server_count && a->search_count == b->search_count &&
                memcmp(a->servers, b->servers, (size_t)a->server_count * sizeof a->servers[0]) == 0 &&
                nd_sortlist_same(&a->sortlist, &b->sortlist);
    for (size_t i = 0; same && i < a->search_count; i++)
        same = strcmp(a->search[i], b->search[i]) == 0;
    return same;
}

/* libc reads the environment, too, only when it reads the file: a setenv in another thread cannot disturb later. */
static void *parse(struct nd_snapshot *s) {
    char hostname[256] = "";
    if (gethostname(hostname, sizeof hostname - 1) != 0)
        hostname[0] = '\0';
    struct nd_resolv_conf *conf =
        nd_resolv_conf_parse(s->text, s->size, getenv("LOCALDOMAIN"), getenv("RES_OPTIONS"), hostname);
    if (conf)
        conf->version = nd_file_version(s);
    remember_version(conf);
    return conf;
}

static void release(void *conf) {
    nd_resolv_conf_put(conf);
}

static struct nd_file resolv_conf_file = {.path = "/etc/resolv.conf", .parse = parse, .destroy = release};

struct nd_resolv_conf *nd_resolv_conf_get(void) {
    struct nd_snapshot *s = nd_file_get(&resolv_conf_file);
    if (!s)
        return NULL;
    struct nd_resolv_conf *conf = s->parsed;
    if (conf)
        __atomic_add_fetch(&conf->references, 1, __ATOMIC_RELAXED);
    nd_file_put(s);
    return conf;
}

void nd_resolv_conf_put(struct nd_resolv_conf *conf) {
    if (!conf || __atomic_sub_fetch(&conf->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    clear_search(conf);
    nd_sortlist_free(&conf->sortlist);
    free(conf);
}
