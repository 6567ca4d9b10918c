/* Sends the line of an expiry, or a notice, to where the settings say. At most ten lines of expiries a second. */
#include "shim/report/report.h"

#include <string.h>

#include "base/compiler.h"
#include "shim/raw.h"
#include "shim/report/backtrace.h"
#include "shim/report/format.h"
#include "shim/report/probes.h"
#include "shim/report/sink.h"
#include "shim/report/slots.h"

static bool has_started ND_WRITTEN_AT_START;
static _Atomic bool has_given_notice;

/* The second, modulo 2^24, of the last line, and in the low 8 bits the number of lines in that second. It has 32 bits
 * because old i386 processors have no atomic operations on 64. */
static _Atomic uint32_t lines_in_second;
static _Atomic uint32_t dropped_lines;

enum { LINES_PER_SECOND = 10 };

void nd_report_start(void) {
    int saved = errno;
    nd_origin_start();
    if (nd_settings.log != ND_LOG_OFF)
        nd_sink_remember_stderr();
    has_started = true;
    errno = saved;
}

/* Returns false where the line is one too many. */
static bool count_line(nd_time now) {
    uint32_t second = (uint32_t)(now / ND_SEC) & 0xffffff;
    uint32_t before = atomic_load_explicit(&lines_in_second, memory_order_relaxed);
    uint32_t after;
    do {
        after = before >> 8 == second ? before + 1 : second << 8 | 1;
        if ((after & 0xff) > LINES_PER_SECOND)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&lines_in_second, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

/* "<28>" is facility daemon, severity warning. The message has no time: the receiver adds one, and local time would
 * need the time zone's lock. */
static ND_APART int send_to_syslog(const char *text, size_t length) {
    char buffer[1500];
    struct nd_line line;
    nd_line_start(&line, buffer, sizeof buffer);
    nd_line_put(&line, "<28>netdeadline[");
    nd_line_put_number(&line, (uint64_t)ND_RAW3(getpid, 0, 0, 0), 1);
    nd_line_put(&line, "]: ");
    length -= length > 0 && text[length - 1] == '\n';
    if (length >= sizeof buffer - line.used)
        length = sizeof buffer - line.used - 1; /* a long stack is cut at its outer end */
    memcpy(buffer + line.used, text, length);
    return nd_sink_syslog(buffer, line.used + length);
}

static int send_to_log(const char *text, size_t length) {
    const enum nd_log log = nd_settings.log; /* clang 14 takes no atomic in a switch */
    switch (log) {
    case ND_LOG_STDERR:
        return nd_sink_stderr(text, length);
    case ND_LOG_SYSLOG:
        return send_to_syslog(text, length);
    case ND_LOG_FILE:
        return nd_sink_file(nd_settings.log_path, text, length);
    case ND_LOG_OFF:
        break;
    }
    return -1;
}

static bool is_first_notice(void) {
    return !atomic_exchange_explicit(&has_given_notice, true, memory_order_relaxed);
}

static ND_APART void warn_lost_log(int error) {
    char buffer[400];
    struct nd_line line;
    if (nd_settings.log != ND_LOG_FILE || error == EAGAIN || !is_first_notice())
        return;
    nd_line_start(&line, buffer, sizeof buffer);
    nd_line_put(&line, "netdeadline: cannot write to the log \"");
    nd_line_put_escaped(&line, nd_settings.log_path, strlen(nd_settings.log_path), 300);
    nd_line_put(&line, "\" (error ");
    nd_line_put_number(&line, (uint64_t)error, 1);
    nd_line_put(&line, ")\n");
    nd_sink_stderr(buffer, line.used);
}

static void send_or_warn(const struct nd_line *line) {
    errno = 0;
    if (send_to_log(line->text, line->used) != 0)
        warn_lost_log(errno);
}

/* A function of its own, because of its large buffer: a report without a stack trace must fit on a small stack. */
static ND_APART void report_with_stack(const struct nd_event *event, const struct nd_origin *origin) {
    char buffer[4096]; /* a pipe takes as much in one piece (PIPE_BUF) */
    struct nd_line line;
    nd_line_start(&line, buffer, sizeof buffer - sizeof "\"}\n");
    nd_format_put_event(&line, nd_settings.log_format, event, origin);
    nd_format_open_stack(&line, nd_settings.log_format);
    nd_backtrace_put(&line);
    line.size = sizeof buffer;
    nd_format_close_stack(&line);
    nd_format_end(&line, nd_settings.log_format);
    send_or_warn(&line);
}

static ND_APART void report_without_stack(const struct nd_event *event, const struct nd_origin *origin) {
    char buffer[1280];
    struct nd_line line;
    nd_line_start(&line, buffer, sizeof buffer);
    nd_format_put_event(&line, nd_settings.log_format, event, origin);
    nd_format_end(&line, nd_settings.log_format);
    send_or_warn(&line);
}

static ND_APART void send_to_statsd(const struct nd_event *event) {
    char buffer[640];
    struct nd_line line;
    nd_line_start(&line, buffer, sizeof buffer);
    nd_format_put_statsd(&line, event, nd_origin_program());
    nd_sink_statsd(nd_settings.statsd, buffer, line.used);
}

static void write_line(const struct nd_event *event) {
    if (!count_line(nd_now())) {
        atomic_fetch_add_explicit(&dropped_lines, 1, memory_order_relaxed);
        return;
    }
    struct nd_origin origin = nd_origin_now();
    origin.dropped = atomic_exchange_explicit(&dropped_lines, 0, memory_order_relaxed);
    if (nd_settings.backtrace && nd_backtrace_begin()) {
        report_with_stack(event, &origin);
        nd_backtrace_end();
    } else {
        report_without_stack(event, &origin);
    }
}

static void deliver(const struct nd_event *event) {
    int saved = errno;
    struct nd_hushed hushed;
    if (nd_settings.statsd[0])
        send_to_statsd(event);
    if (nd_settings.log != ND_LOG_OFF) {
        nd_hush(&hushed);
        write_line(event);
        nd_unhush(&hushed);
    }
    errno = saved;
}

void nd_report_expiry(const struct nd_event *event) {
    nd_slots_count_expiry(event->operation, event->observed);
    nd_expiries_count(event->limit, event->observed, event->set);
    ND_PROBE5(netdeadline, expiry, event->operation, event->limit, event->timeout, event->elapsed,
              (int)event->observed);
    deliver(event);
}

void nd_report_stale(const struct nd_event *event) {
    nd_slots_count_stale(event->operation);
    deliver(event);
}

/* Whether a notice is plain text: on descriptor 2, unless the settings ask for JSON there. */
static bool notice_is_plain(void) {
    return nd_settings.log == ND_LOG_OFF ||
           (nd_settings.log == ND_LOG_STDERR && nd_settings.log_format == ND_LOG_LOGFMT);
}

static ND_APART void send_notice(const char *text) {
    char buffer[1280];
    struct nd_line line;
    struct nd_origin origin = nd_origin_now();
    nd_line_start(&line, buffer, sizeof buffer);
    if (notice_is_plain()) {
        nd_line_put(&line, text);
        nd_line_put_char(&line, '\n');
    } else {
        nd_format_put_notice(&line, nd_settings.log_format, text, &origin);
        nd_format_end(&line, nd_settings.log_format);
    }
    if (nd_settings.log == ND_LOG_OFF || send_to_log(buffer, line.used) != 0)
        nd_sink_stderr(buffer, line.used);
}

static void send_hushed(const char *text) {
    int saved = errno;
    struct nd_hushed hushed;
    nd_hush(&hushed);
    send_notice(text);
    nd_unhush(&hushed);
    errno = saved;
}

void nd_report_notice(const char *text) {
    /* With the log off it is not known any more whether descriptor 2 is the one of the start. */
    if ((nd_settings.log != ND_LOG_OFF || !has_started) && is_first_notice())
        send_hushed(text);
}

void nd_report_unbounded(const char *text) {
    if (nd_settings.log != ND_LOG_OFF)
        send_hushed(text);
}
