#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/dns_message.h"
#include "resolver/musl.h"
#include "resolver/musl_answer.h"
#include "resolver/musl_ask.h"
#include "resolver/musl_lines.h"
#include "resolver/stale_cache.h"

#define ANSWER_ROOM (nd_musl_takes_long_answers() ? 4800u : nd_musl_has_tcp() ? 768u : 512u)

struct find {
    struct nd_musl_address *found;
    char *canonical;
    const char *name;
    int family, flags, count;
    struct nd_lookup *lookup;
    unsigned type; /* of the answer that is read */
    /* for STALE */
    struct nd_dns_message kept[2]; /* the answers that were good */
    bool has_failed;               /* a server has answered with an error */
};

/* Each from_… function returns the number of addresses, 0 where the next one is to be called, or an EAI_ code. */

static void add(struct find *f, int family, const void *bytes) {
    struct nd_musl_address *a = &f->found[f->count++];
    *a = (struct nd_musl_address){.family = family};
    memcpy(a->bytes, bytes, family == AF_INET ? 4 : 16);
}

static int from_null(struct find *f) {
    static const unsigned char any[16], loopback4[4] = {127, 0, 0, 1}, loopback6[16] = {[15] = 1};
    const bool passive = f->flags & AI_PASSIVE;
    if (f->name)
        return 0;
    if (f->family != AF_INET6)
        add(f, AF_INET, passive ? any : loopback4);
    if (f->family != AF_INET)
        add(f, AF_INET6, passive ? any : loopback6);
    return f->count;
}

/* Whether a line has the name as a word after its first byte. One at the very end of a file without '\n' is none. */
static bool has_word(const char *line, const char *name, size_t length) {
    for (const char *at = line; *at && (at = strstr(at + 1, name)) != NULL;)
        if (nd_musl_is_space(at[-1]) && nd_musl_is_space(at[length]))
            return true;
    return false;
}

/* The first name of a line, whose address ends before `rest`. */
static bool take_canonical(struct find *f, char *rest) {
    char *name = nd_musl_word_next(rest);
    *nd_musl_word_end(name) = '\0';
    if (!nd_musl_is_host(name))
        return false;
    memcpy(f->canonical, name, strlen(name) + 1);
    return true;
}

static int from_hosts(struct find *f) {
    struct nd_musl_lines lines;
    char line[512];
    const size_t length = strlen(f->name);
    int other_family = 0;
    bool is_named = false;
    const int error = nd_musl_lines_open(&lines, "/etc/hosts");
    if (error == ENOENT)
        return 0;
    if (error) {
        errno = error;
        return EAI_SYSTEM;
    }
    while (f->count < ND_MUSL_ADDRESSES && nd_musl_lines_next(&lines, line, sizeof line)) {
        nd_musl_lines_cut_comment(line);
        if (!has_word(line, f->name, length))
            continue;
        char *end = nd_musl_word_end(line);
        *end = '\0';
        const int result = nd_musl_numeric(&f->found[f->count], line, f->family);
        if (result == 0)
            continue;
        if (result > 0)
            f->count++;
        else
            other_family = nd_musl_no_data();
        if (nd_musl_needs_both() ? !is_named : result > 0)
            is_named |= take_canonical(f, end + 1);
    }
    nd_musl_lines_close(&lines);
    return f->count ? f->count : other_family;
}

static bool take_record(void *find, const struct nd_musl_record *r) {
    struct find *f = find;
    const bool full = f->count >= ND_MUSL_ADDRESSES, careful = nd_musl_has_tcp();
    char target[ND_MUSL_NAME];
    if (full && !careful)
        return false;
    if (r->type == ND_TYPE_CNAME) {
        if (nd_musl_expand(r->packet, r->size, r->at, target) && nd_musl_is_host(target))
            memcpy(f->canonical, target, strlen(target) + 1);
        return true;
    }
    if (full || (r->type != ND_TYPE_A && r->type != ND_TYPE_AAAA) || (careful && r->type != f->type))
        return true;
    if (r->length != (r->type == ND_TYPE_A ? 4 : 16))
        return false;
    add(f, r->type == ND_TYPE_A ? AF_INET : AF_INET6, r->packet + r->at);
    return true;
}

static int code_of(const struct nd_musl_ask *ask, int which) {
    if (ask->lengths[which] < 4 || !ask->answers[which].bytes)
        return EAI_AGAIN;
    switch (nd_dns_rcode(ask->answers[which].bytes)) {
    case ND_NOERROR:
        return nd_musl_no_data();
    case ND_NXDOMAIN:
        return 0;
    case ND_SERVFAIL:
        return EAI_AGAIN;
    default:
        return EAI_FAIL;
    }
}

/* What the answers say together. */
static int read_answers(struct find *f, const struct nd_musl_ask *ask, const unsigned types[2]) {
    const bool needs_both = nd_musl_needs_both();
    for (int i = 0; needs_both && i < ask->question_count; i++) {
        const int code = code_of(ask, i);
        if (code != nd_musl_no_data())
            return code;
    }
    for (int n = 0; n < ask->question_count; n++) {
        const int i = nd_musl_has_tcp() ? ask->question_count - 1 - n : n;
        f->type = types[i];
        if (ask->answers[i].bytes)
            nd_musl_records(ask->answers[i].bytes, ask->answers[i].size, take_record, f);
    }
    return f->count ? f->count : code_of(ask, 0);
}

static bool ends_with_dots(const char *name) {
    const size_t length = strlen(name);
    return length >= 2 && strcmp(name + length - 2, "..") == 0;
}

/* The types that are asked for. Returns their number. */
static int types_of(int family, unsigned types[2]) {
    int count = 0;
    if (family != AF_INET6)
        types[count++] = ND_TYPE_A;
    if (family != AF_INET)
        types[count++] = ND_TYPE_AAAA;
    return count;
}

/* Keeps answers of which none is missing. */
static void keep(struct find *f, struct nd_musl_ask *ask) {
    for (int i = 0; i < ask->question_count; i++)
        if (!ask->answers[i].bytes || ask->lengths[i] > ask->answers[i].size)
            return;
    memcpy(f->kept, ask->answers, sizeof f->kept);
    memset(ask->answers, 0, sizeof ask->answers);
}

/* `name`: as it is asked for. */
static int ask_dns(struct find *f, const struct nd_musl_conf *conf, const char *name) {
    uint8_t packets[2][ND_MUSL_QUERY_MAX];
    unsigned types[2] = {0};
    struct nd_musl_ask ask = {.conf = conf, .lookup = f->lookup, .room = ANSWER_ROOM};
    ask.question_count = types_of(f->family, types);
    for (int n = 0; n < ask.question_count; n++) {
        const int size = nd_musl_make_query(packets[n], name, 1, (int)types[n], false);
        if (size < 0) /* "search .": older versions sent a damaged question, and waited in vain */
            return nd_musl_has_tcp() || ends_with_dots(name) ? 0 : EAI_NONAME;
        ask.questions[n] = (struct nd_question){packets[n], (size_t)size};
    }
    if (ask.question_count == 2 && memcmp(packets[0], packets[1], 2) == 0)
        packets[1][0]++;
    nd_musl_ask(&ask);
    int result = EAI_SYSTEM;
    if (ask.error)
        errno = ask.error;
    else
        result = read_answers(f, &ask, types);
    f->has_failed |= ask.has_failed;
    if (result > 0 && f->lookup->stale)
        keep(f, &ask);
    nd_musl_ask_free(&ask);
    return result;
}

static int search_dns(struct find *f) {
    struct nd_musl_conf conf;
    size_t length = strlen(f->name);
    unsigned dots = 0;
    const int error = nd_musl_conf_read(&conf);
    if (error) {
        errno = error;
        return EAI_BADFLAGS; /* musl passes the -1 of the function that reads the file on */
    }
    for (const char *at = f->name; *at; at++)
        dots += *at == '.';
    if (dots >= conf.ndots || f->name[length - 1] == '.')
        conf.search[0] = '\0';
    if (f->name[length - 1] == '.')
        length--;
    if (length == 0 || f->name[length - 1] == '.')
        return EAI_NONAME;
    nd_lookup_extend_to(f->lookup, nd_musl_patience(&conf));
    char *domain = nd_musl_word_next(conf.search);
    while (*domain) {
        char *end = nd_musl_word_end(domain);
        const size_t size = (size_t)(end - domain);
        if (size < ND_MUSL_NAME - length - 1) {
            char full[ND_MUSL_NAME];
            memcpy(full, f->name, length);
            full[length] = '.';
            memcpy(full + length + 1, domain, size);
            full[length + 1 + size] = '\0';
            memcpy(f->canonical, full, length + size + 2);
            const int result = ask_dns(f, &conf, full);
            if (result)
                return result;
        }
        domain = nd_musl_word_next(end);
    }
    memcpy(f->canonical, f->name, length);
    f->canonical[length] = '\0';
    return ask_dns(f, &conf, f->name);
}

/* A server that answers with an error has said something. */
static bool is_silence(const struct find *f, int result) {
    return f->lookup->expired || (result == EAI_AGAIN && !f->has_failed);
}

/* What the last good answer says; 0 where there is none any more. */
static int from_last(struct find *f, uint64_t state, nd_time now) {
    struct nd_stale_answer *last = nd_stale_find(state, f->name, f->family, f->lookup->stale, now);
    struct nd_musl_ask ask = {0};
    unsigned types[2] = {0};
    int result = 0;
    if (!last)
        return 0;
    f->count = 0;
    ask.question_count = types_of(f->family, types);
    for (int i = 0; i < ask.question_count; i++) {
        ask.answers[i] = last->messages[i];
        ask.lengths[i] = last->messages[i].size;
    }
    if (nd_musl_expand(ask.answers[0].bytes, ask.answers[0].size, ND_DNS_HEADER,
                       f->canonical)) /* as it was asked for */
        result = read_answers(f, &ask, types);
    f->lookup->stale_age = now - last->stored;
    nd_stale_put(last);
    return result > 0 ? result : 0;
}

/* search_dns, where STALE is set and there is an answer from before by a third of the lookup's limit. That is not held
 * meanwhile, as a thread that is cancelled leaves the search. */
static int from_dns(struct find *f) {
    struct nd_lookup *const lookup = f->lookup;
    if (!lookup->stale)
        return search_dns(f);
    nd_lookup_extend(lookup, NULL);
    nd_lookup_deadline(lookup); /* it begins here */
    const nd_time began = nd_now();
    const uint64_t state = nd_stale_state();
    struct nd_stale_answer *last = nd_stale_find(state, f->name, f->family, lookup->stale, began);
    const bool has_last = last != NULL;
    nd_stale_put(last);
    struct nd_lookup limited = nd_stale_limited(lookup, has_last, began);
    f->lookup = &limited;
    int result = search_dns(f);
    const bool is_silent = is_silence(f, result);
    f->lookup = lookup;
    const nd_time now = nd_now();
    const int given = has_last && is_silent ? from_last(f, state, now) : 0;
    if (given) {
        lookup->gave_stale = true;
        result = given;
    } else {
        lookup->expired |= limited.expired;
        if (f->kept[0].bytes)
            nd_stale_store(state, f->name, f->family, f->kept, now);
        else if (result == 0 || result == nd_musl_no_data())
            nd_stale_forget(f->name, f->family);
    }
    nd_message_free(f->kept[0].bytes);
    nd_message_free(f->kept[1].bytes);
    return result;
}

/* AI_V4MAPPED: IPv4 addresses as IPv6 ones, without AI_ALL only where there are no others. */
static int map_all(struct find *f) {
    int kept = 0;
    bool has_v6 = false;
    for (int i = 0; i < f->count; i++)
        has_v6 |= f->found[i].family == AF_INET6;
    for (int i = 0; i < f->count; i++) {
        struct nd_musl_address a = f->found[i];
        if (a.family == AF_INET) {
            if (has_v6 && !(f->flags & AI_ALL))
                continue;
            nd_musl_as_v6(a.bytes, AF_INET, f->found[i].bytes);
            a.family = AF_INET6;
        }
        f->found[kept++] = a;
    }
    return f->count = kept;
}

static bool has_v6(const struct find *f) {
    for (int i = 0; i < f->count; i++)
        if (f->found[i].family != AF_INET)
            return true;
    return false;
}

int nd_musl_find(struct nd_musl_address found[ND_MUSL_ADDRESSES], char canonical[ND_MUSL_NAME], const char *name,
                 int family, int flags, struct nd_lookup *lookup) {
    struct find f = {
        .found = found, .canonical = canonical, .name = name, .family = family, .flags = flags, .lookup = lookup};
    bool maps = flags & AI_V4MAPPED && family == AF_INET6;
    *canonical = '\0';
    if (name) {
        const size_t length = strnlen(name, ND_MUSL_NAME - 1);
        if (length == 0 || length >= ND_MUSL_NAME - 1)
            return EAI_NONAME;
        memcpy(canonical, name, length + 1);
    }
    if (maps)
        f.family = AF_UNSPEC;
    int result = from_null(&f);
    if (!result)
        result = nd_musl_numeric(found, name, f.family);
    if (!result && !(flags & AI_NUMERICHOST)) {
        result = from_hosts(&f);
        if (!result)
            result = from_dns(&f);
    }
    if (result <= 0)
        return result ? result : EAI_NONAME;
    f.count = result;
    if (maps)
        f.count = map_all(&f);
    if (f.count > 1 && f.family != AF_INET && has_v6(&f))
        nd_musl_sort(found, f.count);
    return f.count;
}
