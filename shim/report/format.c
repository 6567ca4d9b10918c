#include "shim/report/format.h"

#include <string.h>

#include "shim/report/format_peer.h"

/* A name that has expired this often in a row is being repeated, perhaps for ever. */
enum { WORTH_A_WORD = 3 };

enum { MOST_NAME = 260, MOST_PROGRAM = 96, MOST_NOTICE = 900 };

static void put_key(struct nd_line *line, enum nd_log_format format, const char *key) {
    if (format == ND_LOG_JSON) {
        nd_line_put(line, line->used == 0 ? "{\"" : ",\"");
        nd_line_put(line, key);
        nd_line_put(line, "\":");
    } else {
        nd_line_put(line, line->used == 0 ? "" : " ");
        nd_line_put(line, key);
        nd_line_put(line, "=");
    }
}

static bool is_bare(const char *text) {
    static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@+%[]";
    return text[0] != '\0' && text[strspn(text, bare)] == '\0';
}

static void put_text(struct nd_line *line, enum nd_log_format format, const char *key, const char *text, size_t most) {
    bool quoted = format == ND_LOG_JSON || !is_bare(text);
    put_key(line, format, key);
    nd_line_put(line, quoted ? "\"" : "");
    nd_line_put_escaped(line, text, strlen(text), most);
    nd_line_put(line, quoted ? "\"" : "");
}

static void put_number(struct nd_line *line, enum nd_log_format format, const char *key, uint64_t number) {
    put_key(line, format, key);
    nd_line_put_number(line, number, 1);
}

/* Appends the date of a day, given in days since 1970. Years are counted from March, so that the leap day is the
 * last. */
static void put_date(struct nd_line *line, int64_t days) {
    int64_t since = days + 719468; /* 0000-03-01 */
    int64_t era = since / 146097;
    int64_t day = since % 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t day_of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    nd_line_put_number(line, (uint64_t)(year + era * 400 + (month >= 10)), 4);
    nd_line_put_char(line, '-');
    nd_line_put_number(line, (uint64_t)(month < 10 ? month + 3 : month - 9), 2);
    nd_line_put_char(line, '-');
    nd_line_put_number(line, (uint64_t)(day_of_year - (153 * month + 2) / 5 + 1), 2);
}

/* Appends the time in UTC, without gmtime_r, which takes the lock of the time zone. */
static void put_time(struct nd_line *line, enum nd_log_format format, const struct timespec *time) {
    int64_t seconds = time->tv_sec > 0 ? time->tv_sec : 0;
    const char *quote = format == ND_LOG_JSON ? "\"" : "";
    put_key(line, format, "time");
    nd_line_put(line, quote);
    put_date(line, seconds / 86400);
    nd_line_put_char(line, 'T');
    nd_line_put_number(line, (uint64_t)(seconds % 86400 / 3600), 2);
    nd_line_put_char(line, ':');
    nd_line_put_number(line, (uint64_t)(seconds % 3600 / 60), 2);
    nd_line_put_char(line, ':');
    nd_line_put_number(line, (uint64_t)(seconds % 60), 2);
    nd_line_put_char(line, '.');
    nd_line_put_number(line, (uint64_t)(time->tv_nsec / 1000000), 3);
    nd_line_put_char(line, 'Z');
    nd_line_put(line, quote);
}

static void put_origin(struct nd_line *line, enum nd_log_format format, const struct nd_origin *origin) {
    put_time(line, format, &origin->time);
    put_number(line, format, "pid", (uint64_t)origin->pid);
    put_number(line, format, "tid", (uint64_t)origin->tid);
    put_text(line, format, "program", origin->program, MOST_PROGRAM);
}

static void put_peer(struct nd_line *line, enum nd_log_format format, const struct nd_event *event) {
    bool quoted = format == ND_LOG_JSON || event->peer->sa_family == AF_UNIX;
    put_key(line, format, "peer");
    nd_line_put(line, quoted ? "\"" : "");
    nd_format_put_peer(line, event->peer, event->peer_len);
    nd_line_put(line, quoted ? "\"" : "");
}

/* Appends the limit and the elapsed time: in JSON in seconds, for programs; in logfmt the limit as a setting, for
 * people. */
static void put_times(struct nd_line *line, enum nd_log_format format, const struct nd_event *event) {
    put_key(line, format, "timeout");
    if (format == ND_LOG_JSON)
        nd_line_put_seconds(line, event->timeout);
    else
        nd_line_put_duration(line, event->timeout);
    put_key(line, format, "elapsed");
    nd_line_put_seconds(line, event->elapsed);
    nd_line_put(line, format == ND_LOG_JSON ? "" : "s");
}

void nd_format_put_event(struct nd_line *line, enum nd_log_format format, const struct nd_event *event,
                         const struct nd_origin *origin) {
    put_origin(line, format, origin);
    put_text(line, format, "operation", event->operation, MOST_PROGRAM);
    if (event->fd >= 0)
        put_number(line, format, "fd", (uint64_t)event->fd);
    if (event->name)
        put_text(line, format, "name", event->name, MOST_NAME);
    if (event->peer && event->peer_len >= sizeof(sa_family_t))
        put_peer(line, format, event);
    put_text(line, format, "limit", event->limit, MOST_PROGRAM);
    put_times(line, format, event);
    if (event->in_a_row >= WORTH_A_WORD)
        put_number(line, format, "repeated", event->in_a_row);
    if (event->stale) {
        put_key(line, format, "age");
        nd_line_put_seconds(line, event->age);
        nd_line_put(line, format == ND_LOG_JSON ? "" : "s");
    }
    put_key(line, format, "observed");
    nd_line_put(line, event->observed ? "true" : "false");
    if (origin->dropped > 0)
        put_number(line, format, "dropped", origin->dropped);
}

void nd_format_put_notice(struct nd_line *line, enum nd_log_format format, const char *text,
                          const struct nd_origin *origin) {
    put_origin(line, format, origin);
    put_text(line, format, "notice", text, MOST_NOTICE);
}

void nd_format_open_stack(struct nd_line *line, enum nd_log_format format) {
    put_key(line, format, "stack");
    nd_line_put_char(line, '"');
}

void nd_format_close_stack(struct nd_line *line) {
    nd_line_put_char(line, '"');
}

void nd_format_end(struct nd_line *line, enum nd_log_format format) {
    nd_line_put(line, format == ND_LOG_JSON ? "}\n" : "\n");
}

/* Appends a tag of a metric. Tags end at a comma, metrics at a bar or newline: any unusual character becomes an
 * underscore. */
static void put_tag(struct nd_line *line, const char *key, const char *value) {
    nd_line_put(line, key);
    for (int i = 0; i < 64 && value[i]; i++) {
        char c = value[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
        nd_line_put_char(line, plain ? c : '_');
    }
}

static void put_tags(struct nd_line *line, const struct nd_event *event, const char *program) {
    put_tag(line, "|#op:", event->operation);
    put_tag(line, ",limit:", event->limit);
    put_tag(line, ",program:", program);
    put_tag(line, ",observed:", event->observed ? "true" : "false");
}

void nd_format_put_statsd(struct nd_line *line, const struct nd_event *event, const char *program) {
    nd_line_put(line, event->stale ? "netdeadline.stale:1|c" : "netdeadline.expiry:1|c");
    put_tags(line, event, program);
    if (event->stale)
        return;
    nd_line_put(line, "\nnetdeadline.expiry.elapsed:");
    nd_line_put_number(line, event->elapsed > 0 ? (uint64_t)(event->elapsed / ND_MSEC) : 0, 1);
    nd_line_put(line, "|ms");
    put_tags(line, event, program);
}
