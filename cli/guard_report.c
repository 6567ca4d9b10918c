#include "cli/guard_report.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/process/processes.h"
#include "shim/report/format.h"
#include "shim/report/sink.h"

enum { MOST_LINE = 1280, MOST_STATSD = 640 };

void guard_report_start(void) {
    nd_sink_remember_stderr();
}

static void send_to_syslog(const char *text, size_t length) {
    char buffer[MOST_LINE + 64];
    int size = snprintf(buffer, sizeof buffer, "<28>netdeadline[%d]: %.*s", (int)getpid(), (int)length - 1, text);
    nd_sink_syslog(buffer, (size_t)size);
}

static void send_line(const struct nd_settings *settings, const struct nd_event *event,
                      const struct nd_origin *origin) {
    char buffer[MOST_LINE];
    struct nd_line line;
    nd_line_start(&line, buffer, sizeof buffer);
    nd_format_put_event(&line, settings->log_format, event, origin);
    nd_format_end(&line, settings->log_format);
    if (settings->log == ND_LOG_STDERR)
        nd_sink_stderr(buffer, line.used);
    else if (settings->log == ND_LOG_SYSLOG)
        send_to_syslog(buffer, line.used);
    else if (settings->log == ND_LOG_FILE)
        nd_sink_file(settings->log_path, buffer, line.used);
}

void guard_report(const struct nd_settings *settings, const struct guard_target *target, int fd,
                  const struct connection *connection, const struct verdict *verdict, bool observed) {
    char program[64], buffer[MOST_STATSD];
    struct nd_line line;
    struct nd_hushed hushed;
    const struct nd_event event = {.operation = judge_operation(verdict->limit),
                                   .limit = judge_limit_name(verdict->limit),
                                   .timeout = verdict->timeout,
                                   .elapsed = verdict->elapsed,
                                   .fd = fd,
                                   .peer = (const struct sockaddr *)&connection->remote,
                                   .peer_len = sizeof connection->remote,
                                   .observed = observed};
    struct nd_origin origin = {.program = program, .pid = target->pid, .tid = target->pid};
    process_raw_name(target->pid, program, sizeof program);
    clock_gettime(CLOCK_REALTIME, &origin.time);
    nd_hush(&hushed);
    if (settings->log != ND_LOG_OFF)
        send_line(settings, &event, &origin);
    if (settings->statsd[0]) {
        nd_line_start(&line, buffer, sizeof buffer);
        nd_format_put_statsd(&line, &event, program);
        nd_sink_statsd(settings->statsd, buffer, line.used);
    }
    nd_unhush(&hushed);
}
