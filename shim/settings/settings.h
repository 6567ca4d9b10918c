/* The settings of the operator, and the table of all of them. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

enum nd_mode { ND_MODE_ENFORCE, ND_MODE_OBSERVE, ND_MODE_OFF };

enum nd_log { ND_LOG_OFF, ND_LOG_STDERR, ND_LOG_SYSLOG, ND_LOG_FILE };

enum nd_log_format { ND_LOG_LOGFMT, ND_LOG_JSON };

/* What a program is told of a lookup whose deadline has passed. */
enum nd_resolve_error { ND_RESOLVE_AGAIN, ND_RESOLVE_FAIL };

/* A time that may change while other threads read it. They read it whole, also where 64 bits take two machine words. */
typedef _Atomic nd_time nd_live_time;

/* The limits of one direction (connections that the program makes, or accepts). A time of 0 is off. */
struct nd_limits {
    nd_live_time tls_handshake, tls_shutdown;
    nd_live_time unacked, recv, send, keepalive, idle, lifetime;
    _Atomic uint64_t min_rate_bytes; /* per min_rate_window; 0 is off */
    nd_live_time min_rate_window;
};

/* Copies each value whole: other threads may read *to, or write *from. */
void nd_limits_copy(struct nd_limits *to, const struct nd_limits *from);

struct nd_settings {
    _Atomic enum nd_mode mode;
    nd_live_time resolve, connect, establish, accept; /* 0 is off */
    nd_live_time stale;                               /* 0 is off */
    struct nd_limits outbound, inbound;
    _Atomic enum nd_log log;
    _Atomic enum nd_log_format log_format;
    _Atomic enum nd_resolve_error resolve_error;
    _Atomic unsigned backtrace; /* 0 or 1 */
    char log_path[256];         /* for ND_LOG_FILE */
    char statsd[64];            /* address:port or [v6]:port, numeric; empty is off */
};

/* RESOLVE where the operator has not set it: a nanosecond less than its 15s, by which it is known wherever the value is
 * carried (live changes, sections of the config file). A lookup under it goes on for as long as libc would wait for one
 * name, but for ND_RESOLVE_LONGEST at most. */
#define ND_RESOLVE_DEFAULT (15 * ND_SEC - 1)
#define ND_RESOLVE_LONGEST (30 * ND_SEC)

/* Copies what may change while the program runs: the mode and the limits. Sets the rest of *to to 0. */
void nd_settings_copy_live(struct nd_settings *to, const struct nd_settings *from);

/* The settings in force. Written while the library starts, and afterwards by nd_live_take only; read anywhere. */
extern struct nd_settings nd_settings;

/* Incremented after each change of nd_settings. A socket whose record holds an older number is brought up to date
 * (nd_kernel_timers_refresh). */
extern _Atomic uint32_t nd_settings_generation;

/* The form of a setting's value. */
enum nd_setting_kind {
    ND_SETTING_TIME,
    ND_SETTING_RATE,
    ND_SETTING_MODE,
    ND_SETTING_LOG,
    ND_SETTING_LOG_FORMAT,
    ND_SETTING_RESOLVE_ERROR,
    ND_SETTING_SWITCH,
    ND_SETTING_ADDRESS,
    ND_SETTING_UNREAD /* a known name whose value is read elsewhere */
};

/* A row for each setting. The environment, the config file, the command's options and its help are made from this
 * table. It has no pointers, which every start would relocate. */
struct nd_setting {
    char name[24]; /* "RECV": the variable without NETDEADLINE_ */
    enum nd_setting_kind kind;
    uint16_t field;        /* its offset in struct nd_settings: a nd_time, or for a rate the struct nd_limits */
    uint16_t follower;     /* a nd_time that takes the same value unless it has one of its own; 0 for none */
    char default_text[24]; /* as an operator would write it */
    char meaning[88];      /* one line for a person */
};

/* A setting's value: nanoseconds for a time (0: off), bytes and their window for a rate, otherwise the number of the
 * word. */
struct nd_setting_value {
    int64_t value, window;
};

/* At least as many rows as the table has; what is seen from outside has this many (live.h). A set of rows is a
 * uint64_t. */
enum { ND_LIVE_ROWS = 48 };

extern const struct nd_setting nd_setting_table[];
extern const size_t nd_setting_count;

/* Whether the setting is a limit: a time or a rate. */
static inline bool nd_setting_is_limit(const struct nd_setting *setting) {
    return setting->kind == ND_SETTING_TIME || setting->kind == ND_SETTING_RATE;
}

/* The row of the setting called `name` (`length` bytes, without prefix), or NULL. Async-signal-safe. */
const struct nd_setting *nd_setting_find(const char *name, size_t length);
