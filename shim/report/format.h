/* Writes a report: an expiry as a line of logfmt or JSON, or as a StatsD datagram. All functions are
 * async-signal-safe. */
#pragma once

#include "base/line.h"
#include "shim/report/event.h"
#include "shim/report/origin.h"
#include "shim/settings/settings.h"

/* Appends the line without its end, so that further fields may follow. At most 1100 characters. */
void nd_format_put_event(struct nd_line *line, enum nd_log_format format, const struct nd_event *event,
                         const struct nd_origin *origin);

/* The same for a line about the library itself. */
void nd_format_put_notice(struct nd_line *line, enum nd_log_format format, const char *text,
                          const struct nd_origin *origin);

/* Begin and end the field `stack`, whose text the caller appends, escaped. */
void nd_format_open_stack(struct nd_line *line, enum nd_log_format format);
void nd_format_close_stack(struct nd_line *line);

/* Appends the end of the line, with its newline. */
void nd_format_end(struct nd_line *line, enum nd_log_format format);

/* Appends the metrics of an expiry in the form of DogStatsD: "netdeadline.expiry:1|c|#op:recv,...", and its
 * duration. */
void nd_format_put_statsd(struct nd_line *line, const struct nd_event *event, const char *program);
