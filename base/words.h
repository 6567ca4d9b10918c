/* The lines and words of a configuration file, read without changing or copying its text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* A part of a text, not NUL-terminated. */
struct nd_word {
    const char *at;
    size_t size;
};

/* isspace(3) as in the C locale, whatever locale the program has set. */
static inline bool nd_is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Takes the next line off the front of `text`, without its newline. Returns false at the end of the text. */
static inline bool nd_next_line(struct nd_word *text, struct nd_word *line) {
    if (text->size == 0)
        return false;
    const char *newline = memchr(text->at, '\n', text->size);
    line->at = text->at;
    line->size = newline ? (size_t)(newline - text->at) : text->size;
    size_t used = line->size + (newline ? 1 : 0);
    text->at += used;
    text->size -= used;
    return true;
}

/* Takes the next word off the front of `line`; words are separated by white space. Returns false where there is
 * none. */
static inline bool nd_next_word(struct nd_word *line, struct nd_word *word) {
    while (line->size > 0 && nd_is_space(*line->at))
        line->at++, line->size--;
    if (line->size == 0)
        return false;
    word->at = line->at;
    while (line->size > 0 && !nd_is_space(*line->at))
        line->at++, line->size--;
    word->size = (size_t)(line->at - word->at);
    return true;
}

/* Ends `line` before the first `mark` in it. */
static inline void nd_cut_at(struct nd_word *line, char mark) {
    const char *found = line->size ? memchr(line->at, mark, line->size) : NULL;
    if (found)
        line->size = (size_t)(found - line->at);
}

static inline bool nd_word_is(struct nd_word word, const char *text) {
    return word.size == strlen(text) && memcmp(word.at, text, word.size) == 0;
}

static inline bool nd_word_is_nocase(struct nd_word word, const char *text) {
    return word.size == strlen(text) && strncasecmp(word.at, text, word.size) == 0;
}

static inline bool nd_word_starts(struct nd_word word, const char *text) {
    size_t size = strlen(text);
    return word.size >= size && memcmp(word.at, text, size) == 0;
}
