/* Reads a file line by line, with little memory and no buffer of stdio's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct nd_musl_lines {
    int fd;
    size_t at, end;
    bool ended;
    char buffer[512];
};

/* Opens the file. Returns 0, ENOENT where musl takes it for empty (missing, no directory, no permission), or another
 * errno. Then there is nothing to close. */
int nd_musl_lines_open(struct nd_musl_lines *lines, const char *path);
void nd_musl_lines_close(struct nd_musl_lines *lines);

/* As fgets(3): the next line with its '\n', or as much of it as there is room for. */
bool nd_musl_lines_next(struct nd_musl_lines *lines, char *line, size_t size);

/* Passes over what is left of a line. */
void nd_musl_lines_skip(struct nd_musl_lines *lines);

/* Ends the line before a '#'. */
void nd_musl_lines_cut_comment(char *line);

/* The end of the word at `text`, and the beginning of the next one. */
char *nd_musl_word_end(char *text);
char *nd_musl_word_next(char *text);
