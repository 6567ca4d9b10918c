/* The text of a report: one event as a logfmt or JSON line, or as a StatsD datagram. Async-signal-safe. */
#ifndef ND_REPORT_FORMAT_H
#define ND_REPORT_FORMAT_H

#include "base/line.h"
#include "shim/report/event.h"
#include "shim/report/origin.h"
#include "shim/settings/settings.h"

/* The line up to, but without, its end: further fields may follow. At most 1100 characters. */
void nd_format_put_event(struct nd_line *line, enum nd_log_format format, const struct nd_event *event,
                         const struct nd_origin *origin);

/* The same for a line about the library itself. */
void nd_format_put_notice(struct nd_line *line, enum nd_log_format format, const char *text,
                          const struct nd_origin *origin);

/* Opens the field `stack`, whose text the caller writes, escaped; and ends it. */
void nd_format_open_stack(struct nd_line *line, enum nd_log_format format);
void nd_format_close_stack(struct nd_line *line);

/* The end of the line, its newline included. */
void nd_format_end(struct nd_line *line, enum nd_log_format format);

/* "netdeadline.expiry:1|c|#op:recv,..." and its duration, as DogStatsD reads them. */
void nd_format_put_statsd(struct nd_line *line, const struct nd_event *event, const char *program);

#endif
