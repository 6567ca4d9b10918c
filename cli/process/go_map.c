#include "cli/process/go_map.h"

#include "cli/process/go_words.h"
#include "cli/process/memory.h"

/* Sizes in words. Until Go 1.23 a map has buckets: of eight elements, the hashes, the keys, the elements, and the next
 * bucket of the same place. Since 1.24 it has groups: of eight elements, their states, and each key with its element. */
enum {
    BUCKET = 1 + 4 + 8 + 1,
    GROUP = 1 + 8 * 2,
    ELEMENT = 8,
    AT_A_TIME = 32,          /* buckets or groups */
    MOST_WORDS = 1 << 17,    /* of one map */
    MOST_STRANGERS = 32,     /* elements that have another holder: it is another map */
    MOST_ELEMENTS = 1 << 20, /* and what has more is none */
    MOST_TABLES = 1 << 12
};

struct search {
    pid_t pid;
    uint64_t holder;
    int64_t left; /* words that may be read */
    unsigned strangers;
};

static bool read_words(struct search *search, uint64_t at, uint64_t *words, uint64_t count) {
    search->left -= (int64_t)count;
    return search->left >= 0 && memory_read(search->pid, at, words, (size_t)count * sizeof *words) == 0;
}

static bool is_of_holder(struct search *search, uint64_t at) {
    uint64_t element[ELEMENT];
    if (!go_is_address(at) || search->strangers >= MOST_STRANGERS || !read_words(search, at, element, ELEMENT))
        return false;
    if (go_has_word(element, ELEMENT, search->holder))
        return true;
    search->strangers++;
    return false;
}

static bool has_any(struct search *search, const uint64_t *words, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        if (is_of_holder(search, words[i]))
            return true;
    return false;
}

static bool has_any_in_chain(struct search *search, uint64_t bucket) {
    uint64_t words[BUCKET];
    while (go_is_address(bucket) && read_words(search, bucket, words, BUCKET)) {
        if (has_any(search, words, BUCKET - 1))
            return true;
        bucket = words[BUCKET - 1];
    }
    return false;
}

/* Looks through an array of `count` buckets, or groups. */
static bool has_any_in(struct search *search, uint64_t at, uint64_t count, uint64_t size) {
    uint64_t words[AT_A_TIME * GROUP];
    while (count > 0) {
        const uint64_t part = count < AT_A_TIME ? count : AT_A_TIME;
        if (!read_words(search, at, words, part * size))
            return false;
        for (uint64_t i = 0; i < part; i++) {
            const uint64_t *one = words + i * size;
            if (has_any(search, one, size == BUCKET ? size - 1 : size) ||
                (size == BUCKET && has_any_in_chain(search, one[BUCKET - 1])))
                return true;
        }
        at += part * size * sizeof words[0];
        count -= part;
    }
    return false;
}

static bool has_any_in_tables(struct search *search, uint64_t directory, uint64_t count) {
    enum { GROUPS = 2, MASK, TABLE };
    uint64_t table, before = 0, words[TABLE];
    for (; count-- > 0; directory += sizeof table, before = table) {
        if (!read_words(search, directory, &table, 1))
            return false;
        if (table != before && go_is_address(table) && read_words(search, table, words, TABLE) &&
            (words[MASK] & (words[MASK] + 1)) == 0 && words[MASK] < MOST_WORDS / GROUP &&
            has_any_in(search, words[GROUPS], words[MASK] + 1, GROUP))
            return true;
    }
    return false;
}

/* While a map grows, some of its elements are in the buckets that it had before: in half as many, unless it grows for the
 * sake of order alone. `state` is the map's second word: flags, the number of buckets as a power of two, and others. */
static bool has_any_in_buckets(struct search *search, uint64_t state, uint64_t buckets, uint64_t before) {
    enum { FLAGS = 0xff, MOST_FLAGS = 0xf, IS_SAME_SIZE = 8, MOST_LOG = 16 };
    const unsigned log = state >> 8 & 0xff;
    if ((state & FLAGS) > MOST_FLAGS || log > MOST_LOG)
        return false;
    const uint64_t count = (uint64_t)1 << log, count_before = state & IS_SAME_SIZE || log == 0 ? count : count / 2;
    return has_any_in(search, buckets, count, BUCKET) ||
           (go_is_address(before) && has_any_in(search, before, count_before, BUCKET));
}

bool go_map_has_elements_of(pid_t pid, uint64_t map, uint64_t holder) {
    enum { COUNT, STATE, FIRST, SECOND, WORDS };
    struct search search = {pid, holder, MOST_WORDS, 0};
    uint64_t words[WORDS];
    if (!go_is_address(map) || !read_words(&search, map, words, WORDS) || words[COUNT] == 0 ||
        words[COUNT] > MOST_ELEMENTS || !go_is_address(words[FIRST]))
        return false;
    /* of a map with groups the second is the number of tables, or 0: then there is one group, and no table */
    if (words[SECOND] > 0 && words[SECOND] <= MOST_TABLES)
        return has_any_in_tables(&search, words[FIRST], words[SECOND]);
    return (words[SECOND] == 0 && has_any_in(&search, words[FIRST], 1, GROUP)) ||
           has_any_in_buckets(&search, words[STATE], words[FIRST], words[SECOND]);
}
