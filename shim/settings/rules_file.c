/* Reads the config file while the library starts. This happens in every program and before its main function: so it
 * takes raw system calls, a small buffer on the stack, and never waits. */
#include <errno.h>
#include <sys/stat.h>

#include "shim/raw.h"
#include "shim/settings/rules.h"

enum { MOST_BYTES = 1 << 20, PIECE = 4096 };

/* What is wrong with the file itself, or NULL. */
static const char *check_file(int fd, bool is_secure) {
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return "is not a regular file, and is left out";
    if (is_secure && (status.st_uid != 0 || (status.st_mode & (S_IWGRP | S_IWOTH))))
        return "can be written by others than root: it does not count in a set-uid program";
    return NULL;
}

/* A line of which a part has been read. */
struct partial {
    char text[ND_RULES_MOST_LINE + 1]; /* one byte more than a line may have, so that a longer one is noticed */
    size_t size;
    unsigned number;
};

static void take_piece(struct nd_rules *rules, struct partial *line, const char *piece, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (piece[i] == '\n') {
            nd_rules_take_line(rules, line->text, line->size, ++line->number);
            line->size = 0;
        } else if (line->size < sizeof line->text) {
            line->text[line->size++] = piece[i];
        }
    }
}

static void read_lines(struct nd_rules *rules, int fd) {
    struct partial line = {.size = 0};
    char piece[PIECE];
    size_t total = 0;
    while (total < MOST_BYTES) {
        long got = ND_RAW3(read, fd, piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            nd_rules_wrong(rules, 0, "cannot be read to its end");
        if (got <= 0)
            break;
        take_piece(rules, &line, piece, (size_t)got);
        total += (size_t)got;
    }
    if (total >= MOST_BYTES)
        nd_rules_wrong(rules, line.number, "what follows the first megabyte is left out");
    else if (line.size > 0)
        nd_rules_take_line(rules, line.text, line.size, ++line.number);
}

static const char *open_failure(int error) {
    switch (error) {
    case EACCES:
    case EPERM:
        return "may not be read";
    case ENOENT:
    case ENOTDIR:
        return "is missing";
    default:
        return "cannot be opened";
    }
}

int nd_rules_open_file(const struct nd_rules *rules, bool is_secure, bool optional) {
    int saved = errno;
    int fd = (int)ND_RAW6(openat, AT_FDCWD, rules->file, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0, 0, 0);
    const char *wrong = NULL;
    if (fd >= 0)
        wrong = check_file(fd, is_secure);
    else if (!optional || (errno != ENOENT && errno != ENOTDIR))
        wrong = open_failure(errno);
    if (wrong)
        nd_rules_wrong(rules, 0, wrong);
    if (wrong && fd >= 0) {
        ND_RAW3(close, fd, 0, 0);
        fd = -1;
    }
    errno = saved;
    return fd;
}

void nd_rules_read_file(struct nd_rules *rules, int fd) {
    int saved = errno;
    read_lines(rules, fd);
    ND_RAW3(close, fd, 0, 0);
    errno = saved;
}
