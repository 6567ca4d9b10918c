#include "shim/settings/pattern.h"

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Goes back to the last star only, so that the time is at most the product of the lengths. */
static bool matches(struct nd_word pattern, struct nd_word name, bool any_case) {
    size_t at = 0, star = pattern.size, after_star = 0;
    for (size_t i = 0; i < name.size;) {
        char want = at < pattern.size ? pattern.at[at] : '\0', have = name.at[i];
        if (at < pattern.size && want == '*') {
            star = at++;
            after_star = i;
        } else if (at < pattern.size && (want == '?' || want == have || (any_case && lower(want) == lower(have)))) {
            at++, i++;
        } else if (star < pattern.size) {
            at = star + 1;
            i = ++after_star;
        } else {
            return false;
        }
    }
    while (at < pattern.size && pattern.at[at] == '*')
        at++;
    return at == pattern.size;
}

bool nd_pattern_matches(struct nd_word pattern, const char *name) {
    return matches(pattern, (struct nd_word){name, strlen(name)}, false);
}

bool nd_pattern_matches_host(struct nd_word pattern, const char *name) {
    size_t size = strlen(name);
    size -= size > 1 && name[size - 1] == '.';
    return matches(pattern, (struct nd_word){name, size}, true);
}

bool nd_pattern_has_wildcard(struct nd_word pattern) {
    return pattern.size > 0 && (memchr(pattern.at, '*', pattern.size) || memchr(pattern.at, '?', pattern.size));
}
