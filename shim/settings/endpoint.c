#include "shim/settings/endpoint.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include "shim/settings/pattern.h"

enum { MOST_NAME = 255, V4_BITS = 96, NARROW_PATTERN = 200 };
_Static_assert(1 + 128 < NARROW_PATTERN && NARROW_PATTERN + MOST_NAME < ND_ENDPOINT_MOST_NARROW,
               "an address is less narrow than a name with wildcards, and that than a whole name");

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Reads a decimal number of at most `most`. Returns -1 for anything else. */
static int read_number(struct nd_word word, int most) {
    int number = 0;
    if (word.size == 0 || word.size > 5)
        return -1;
    for (size_t i = 0; i < word.size; i++) {
        if (!is_digit(word.at[i]))
            return -1;
        number = number * 10 + (word.at[i] - '0');
    }
    return number <= most ? number : -1;
}

/* Splits `word` at its last `mark`: *tail is what follows it. Returns false where there is no mark. */
static bool cut_tail(struct nd_word *word, char mark, struct nd_word *tail) {
    for (size_t i = word->size; i > 0; i--)
        if (word->at[i - 1] == mark) {
            *tail = (struct nd_word){word->at + i, word->size - i};
            word->size = i - 1;
            return true;
        }
    return false;
}

static const char *read_port(struct nd_word word, struct nd_endpoint *where) {
    int port = read_number(word, 65535);
    if (port <= 0)
        return "is not a port from 1 to 65535";
    where->port = (uint16_t)port;
    return NULL;
}

static void map_v4(const void *bytes, struct in6_addr *out) {
    *out = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(&out->s6_addr[12], bytes, 4);
}

/* `192.0.2.0/24`, `2001:db8::1` */
static const char *read_address(struct nd_word word, struct nd_endpoint *where) {
    char text[INET6_ADDRSTRLEN];
    struct nd_word tail;
    bool has_bits = cut_tail(&word, '/', &tail), is_v6 = memchr(word.at, ':', word.size) != NULL;
    unsigned char bytes[16];
    if (word.size == 0 || word.size >= sizeof text)
        return "is not an address";
    memcpy(text, word.at, word.size);
    text[word.size] = '\0';
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, text, bytes) != 1)
        return "is not an address";
    int most = is_v6 ? 128 : 32, bits = has_bits ? read_number(tail, most) : most;
    if (bits < 0)
        return is_v6 ? "has a prefix that is not from 0 to 128" : "has a prefix that is not from 0 to 32";
    if (is_v6)
        memcpy(&where->address, bytes, sizeof where->address);
    else
        map_v4(bytes, &where->address);
    where->kind = ND_ENDPOINT_ADDRESS;
    where->bits = (uint8_t)(is_v6 ? bits : bits + V4_BITS);
    return NULL;
}

static bool is_name(struct nd_word word) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*?";
    for (size_t i = 0; i < word.size; i++)
        if (!word.at[i] || !strchr(allowed, word.at[i]))
            return false;
    return word.size > 0 && word.size <= MOST_NAME;
}

/* Whether a word is meant as an address: it has digits, dots and slashes only. */
static bool is_numeric(struct nd_word word) {
    for (size_t i = 0; i < word.size; i++)
        if (!is_digit(word.at[i]) && word.at[i] != '.' && word.at[i] != '/')
            return false;
    return word.size > 0;
}

static const char *read_name(struct nd_word word, struct nd_endpoint *where) {
    if (word.size == 0 || nd_word_is(word, "*"))
        return NULL;
    if (!is_name(word))
        return "is neither an address nor a host's name";
    if (word.size > 1 && word.at[word.size - 1] == '.')
        word.size--;
    where->kind = ND_ENDPOINT_NAME;
    where->text = word;
    return NULL;
}

static size_t count_colons(struct nd_word word) {
    size_t count = 0;
    for (size_t i = 0; i < word.size; i++)
        count += word.at[i] == ':';
    return count;
}

/* `[2001:db8::1]:443` */
static const char *read_bracketed(struct nd_word word, struct nd_endpoint *where) {
    struct nd_word inside = {word.at + 1, word.size - 1}, tail = {NULL, 0};
    if (!cut_tail(&inside, ']', &tail) || (tail.size > 0 && tail.at[0] != ':'))
        return "is not an address";
    if (tail.size > 0) {
        const char *wrong = read_port((struct nd_word){tail.at + 1, tail.size - 1}, where);
        if (wrong)
            return wrong;
    }
    return count_colons(inside) > 0 ? read_address(inside, where) : "is not an address";
}

const char *nd_endpoint_parse(struct nd_word word, struct nd_endpoint *where) {
    struct nd_word tail;
    *where = (struct nd_endpoint){.kind = ND_ENDPOINT_ANY};
    if (nd_word_starts(word, "unix:")) {
        where->kind = ND_ENDPOINT_PATH;
        where->text = (struct nd_word){word.at + 5, word.size - 5};
        bool is_prefix = where->text.size == 0 || nd_word_is(where->text, "/") || nd_word_is(where->text, "@");
        return is_prefix ? "is not the path of a socket (unix:/run/x or unix:@abstract)" : NULL;
    }
    if (word.size > 0 && word.at[0] == '[')
        return read_bracketed(word, where);
    if (count_colons(word) > 1)
        return read_address(word, where);
    if (cut_tail(&word, ':', &tail)) {
        const char *wrong = read_port(tail, where);
        if (wrong)
            return wrong;
    }
    return is_numeric(word) ? read_address(word, where) : read_name(word, where);
}

bool nd_endpoint_parse_address(const char *text, struct nd_endpoint_address *out) {
    struct nd_endpoint where;
    if (strchr(text, '/') || nd_endpoint_parse((struct nd_word){text, strlen(text)}, &where) ||
        where.kind != ND_ENDPOINT_ADDRESS || !where.port)
        return false;
    *out = (struct nd_endpoint_address){where.address, where.port};
    return true;
}

unsigned nd_endpoint_narrowness(const struct nd_endpoint *where) {
    switch (where->kind) {
    case ND_ENDPOINT_ANY:
        break;
    case ND_ENDPOINT_ADDRESS:
        return 1U + where->bits;
    case ND_ENDPOINT_NAME:
    case ND_ENDPOINT_PATH:
        if (!nd_pattern_has_wildcard(where->text))
            return ND_ENDPOINT_MOST_NARROW;
        return NARROW_PATTERN + (unsigned)(where->text.size < MOST_NAME ? where->text.size : MOST_NAME);
    }
    return 0;
}

bool nd_endpoint_address_of(const struct sockaddr *address, socklen_t length, struct nd_endpoint_address *out) {
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;
    if (length < sizeof address->sa_family)
        return false;
    if (address->sa_family == AF_INET && length >= sizeof *v4) {
        map_v4(&v4->sin_addr, &out->address);
        out->port = ntohs(v4->sin_port);
        return true;
    }
    if (address->sa_family != AF_INET6 || length < offsetof(struct sockaddr_in6, sin6_scope_id))
        return false;
    out->address = v6->sin6_addr;
    out->port = ntohs(v6->sin6_port);
    return true;
}

bool nd_endpoint_has_address(const struct nd_endpoint *where, const struct in6_addr *address) {
    if (where->kind == ND_ENDPOINT_ANY)
        return true;
    if (where->kind != ND_ENDPOINT_ADDRESS)
        return false;
    if (where->bits < V4_BITS && IN6_IS_ADDR_V4MAPPED(address))
        return false; /* ::/0 does not include IPv4 */
    size_t whole = where->bits / 8;
    unsigned rest = where->bits % 8;
    if (memcmp(where->address.s6_addr, address->s6_addr, whole) != 0)
        return false;
    return rest == 0 || ((where->address.s6_addr[whole] ^ address->s6_addr[whole]) >> (8 - rest)) == 0;
}

bool nd_endpoint_is_numeric(const char *name) {
    return strchr(name, ':') || name[strspn(name, "0123456789.")] == '\0';
}

bool nd_endpoint_has_name(const struct nd_endpoint *where, const char *name) {
    return where->kind == ND_ENDPOINT_NAME && nd_pattern_matches_host(where->text, name);
}

bool nd_endpoint_has_path(const struct nd_endpoint *where, const struct sockaddr *address, socklen_t length) {
    const struct sockaddr_un *local = (const void *)address;
    const size_t start = offsetof(struct sockaddr_un, sun_path);
    char path[sizeof local->sun_path + 1];
    if (where->kind == ND_ENDPOINT_ANY && where->port == 0)
        return true;
    if (where->kind != ND_ENDPOINT_PATH || length <= start)
        return false;
    size_t size = length - start < sizeof local->sun_path ? length - start : sizeof local->sun_path;
    memcpy(path, local->sun_path, size);
    path[size] = '\0';
    if (path[0] == '\0')
        path[0] = '@';
    return nd_pattern_matches(where->text, path);
}
