/* What the operator asked for: the NETDEADLINE_ environment, parsed once when the library starts. */
#ifndef ND_SETTINGS_H
#define ND_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/clock.h"

enum nd_mode { ND_MODE_ENFORCE, ND_MODE_OBSERVE, ND_MODE_OFF };

enum nd_log { ND_LOG_OFF, ND_LOG_STDERR, ND_LOG_SYSLOG, ND_LOG_FILE };

enum nd_log_format { ND_LOG_LOGFMT, ND_LOG_JSON };

/* Limits of one direction. A time of 0 is off. */
struct nd_limits {
    nd_time tls_handshake, tls_shutdown;
    nd_time unacked, recv, send, keepalive, idle, lifetime;
    uint64_t min_rate_bytes; /* per min_rate_window; 0 is off */
    nd_time min_rate_window;
};

struct nd_settings {
    enum nd_mode mode;
    nd_time resolve, connect, accept; /* 0 is off */
    struct nd_limits outbound, inbound;
    enum nd_log log;
    enum nd_log_format log_format;
    bool backtrace;
    char log_path[256];     /* for ND_LOG_FILE */
    char statsd[64];        /* host:port; empty is off */
};

/* The settings in force. Written while the library starts; read anywhere. */
extern struct nd_settings nd_settings;

/* Fills *settings with the defaults of DESIGN.md §5. Async-signal-safe. */
void nd_settings_defaults(struct nd_settings *settings);

/* Reads every NETDEADLINE_X of `environment` (environ's form) over what *settings holds. For each name it does not know
 * and each value it cannot read, calls complain(text, arg) with one line without newline that names the variable, the
 * value (shortened, escaped) and what is used instead; the value in *settings is then left. Allocates nothing. */
void nd_settings_from_environment(struct nd_settings *settings, char *const *environment,
                                  void (*complain)(const char *text, void *arg), void *arg);

/* Reads a duration: `250ms`, `3s`, `1m30s`, `2h`, `off`; whole numbers with a unit each, largest unit first; 0 is refused
 * except as `off`. Returns 0 and the time in *out (0 for off), or -1 when it cannot be read. Async-signal-safe. */
int nd_duration_parse(const char *text, nd_time *out);

#endif
