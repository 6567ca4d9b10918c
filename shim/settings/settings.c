#include "shim/settings/settings.h"

#include <string.h>

#include "base/line.h"
#include "shim/settings/live.h"

#define PREFIX "NETDEADLINE_"

enum { PREFIX_LENGTH = sizeof PREFIX - 1 };

struct nd_settings nd_settings;
_Atomic uint32_t nd_settings_generation;

#define FIELD(name) offsetof(struct nd_settings, name)

const struct nd_setting nd_setting_table[] = {
    {"RESOLVE", ND_SETTING_TIME, FIELD(resolve), 0, "5s", "one name lookup, everything included"},
    {"CONNECT", ND_SETTING_TIME, FIELD(connect), 0, "10s", "one connect"},
    {"TLS_HANDSHAKE", ND_SETTING_TIME, FIELD(outbound.tls_handshake), 0, "10s", "a whole TLS handshake"},
    {"TLS_SHUTDOWN", ND_SETTING_TIME, FIELD(outbound.tls_shutdown), 0, "5s", "a whole TLS shutdown"},
    {"UNACKED", ND_SETTING_TIME, FIELD(outbound.unacked), FIELD(inbound.unacked), "60s",
     "nothing acknowledged while a call waits for room: the peer is gone"},
    {"RECV", ND_SETTING_TIME, FIELD(outbound.recv), 0, "off", "no incoming byte while a call waits"},
    {"SEND", ND_SETTING_TIME, FIELD(outbound.send), 0, "off", "no outgoing progress while a call waits"},
    {"KEEPALIVE", ND_SETTING_TIME, FIELD(outbound.keepalive), 0, "off", "silence before dead-peer probes"},
    {"ACCEPT", ND_SETTING_TIME, FIELD(accept), 0, "off", "one wait for an incoming connection"},
    {"IDLE", ND_SETTING_TIME, FIELD(outbound.idle), 0, "off", "silence of a connection in an event loop"},
    {"LIFETIME", ND_SETTING_TIME, FIELD(outbound.lifetime), 0, "off", "the age of a connection"},
    {"MIN_RATE", ND_SETTING_RATE, FIELD(outbound), 0, "off", "fewer bytes than this in that time"},
    {"INBOUND_TLS_HANDSHAKE", ND_SETTING_TIME, FIELD(inbound.tls_handshake), 0, "off",
     "TLS_HANDSHAKE for accepted sockets"},
    {"INBOUND_TLS_SHUTDOWN", ND_SETTING_TIME, FIELD(inbound.tls_shutdown), 0, "off",
     "TLS_SHUTDOWN for accepted sockets"},
    {"INBOUND_UNACKED", ND_SETTING_TIME, FIELD(inbound.unacked), 0, "60s",
     "UNACKED for accepted sockets; as UNACKED when only that is given"},
    {"INBOUND_RECV", ND_SETTING_TIME, FIELD(inbound.recv), 0, "off", "RECV for accepted sockets"},
    {"INBOUND_SEND", ND_SETTING_TIME, FIELD(inbound.send), 0, "off", "SEND for accepted sockets"},
    {"INBOUND_KEEPALIVE", ND_SETTING_TIME, FIELD(inbound.keepalive), 0, "off", "KEEPALIVE for accepted sockets"},
    {"INBOUND_IDLE", ND_SETTING_TIME, FIELD(inbound.idle), 0, "off", "IDLE for accepted sockets"},
    {"INBOUND_LIFETIME", ND_SETTING_TIME, FIELD(inbound.lifetime), 0, "off", "LIFETIME for accepted sockets"},
    {"INBOUND_MIN_RATE", ND_SETTING_RATE, FIELD(inbound), 0, "off", "MIN_RATE for accepted sockets"},
    {"MODE", ND_SETTING_MODE, FIELD(mode), 0, "enforce", "enforce, observe (tell what would end, end nothing), off"},
    {"LOG", ND_SETTING_LOG, FIELD(log), 0, "off", "where an expiry is told: off, stderr, syslog or a file"},
    {"LOG_FORMAT", ND_SETTING_LOG_FORMAT, FIELD(log_format), 0, "logfmt", "logfmt or json"},
    {"BACKTRACE", ND_SETTING_SWITCH, FIELD(backtrace), 0, "0", "1 adds the caller's stack to the log line"},
    {"STATSD", ND_SETTING_ADDRESS, FIELD(statsd), 0, "off", "address:port that is sent a datagram per expiry"},
    {"CONFIG", ND_SETTING_UNREAD, 0, 0, "/etc/netdeadline.conf", "the file of settings that is read"},
    {"ONLY", ND_SETTING_UNREAD, 0, 0, "all", "names of the programs that are bounded, no others"},
    {"SKIP", ND_SETTING_UNREAD, 0, 0, "none", "names of programs that are not bounded"},
};

const size_t nd_setting_count = sizeof nd_setting_table / sizeof nd_setting_table[0];
_Static_assert(sizeof nd_setting_table / sizeof nd_setting_table[0] <= ND_LIVE_ROWS, "each can be seen from outside");
_Static_assert(ND_LIVE_ROWS <= 64, "a set of rows is a uint64_t");

const struct nd_setting *nd_setting_find(const char *name, size_t length) {
    for (size_t i = 0; i < nd_setting_count; i++)
        if (strlen(nd_setting_table[i].name) == length && memcmp(nd_setting_table[i].name, name, length) == 0)
            return &nd_setting_table[i];
    return NULL;
}

void nd_limits_copy(struct nd_limits *to, const struct nd_limits *from) {
    _Static_assert(sizeof *to % sizeof(nd_live_time) == 0, "nothing but 64-bit values");
    nd_live_time *target = &to->tls_handshake;
    const nd_live_time *source = &from->tls_handshake;
    for (size_t i = 0; i < sizeof *to / sizeof *target; i++)
        target[i] = source[i];
}

void nd_settings_copy_live(struct nd_settings *to, const struct nd_settings *from) {
    memset(to, 0, sizeof *to);
    to->mode = from->mode;
    to->resolve = from->resolve;
    to->connect = from->connect;
    to->accept = from->accept;
    nd_limits_copy(&to->outbound, &from->outbound);
    nd_limits_copy(&to->inbound, &from->inbound);
}

void nd_settings_defaults(struct nd_settings *settings) {
    *settings = (struct nd_settings){0};
    for (size_t i = 0; i < nd_setting_count; i++)
        nd_setting_read(&nd_setting_table[i], nd_setting_table[i].default_text, settings);
}

const char *nd_settings_variable(char *const *environment, const char *name) {
    size_t length = strlen(name);
    for (; *environment; environment++) {
        const char *variable = *environment;
        if (strncmp(variable, PREFIX, PREFIX_LENGTH) != 0 || strncmp(variable + PREFIX_LENGTH, name, length) != 0)
            continue;
        if (variable[PREFIX_LENGTH + length] == '=')
            return variable + PREFIX_LENGTH + length + 1;
    }
    return NULL;
}

static void put_unreadable(struct nd_line *line, const struct nd_setting *setting, const char *value,
                           const struct nd_settings *settings) {
    nd_line_put(line, PREFIX);
    nd_line_put(line, setting->name);
    nd_line_put(line, "=\"");
    nd_line_put_escaped(line, value, strlen(value), 48);
    nd_line_put(line, "\" cannot be read, using ");
    nd_setting_put(setting, settings, line);
}

static void put_unknown(struct nd_line *line, const char *name, size_t length) {
    nd_line_put(line, PREFIX);
    nd_line_put_escaped(line, name, length, 48);
    nd_line_put(line, " is not a setting, ignored");
}

uint64_t nd_settings_from_environment(struct nd_settings *settings, char *const *environment,
                                      void (*complain)(const char *text, void *arg), void *arg) {
    char text[512]; /* a log path, which is what may be used instead, can fill half of it */
    struct nd_line line;
    uint64_t taken = 0;
    if (!environment)
        return 0;
    /* In the table's order, not the environment's: a follower's own value must come after the one it follows. */
    for (const struct nd_setting *row = nd_setting_table; row < nd_setting_table + nd_setting_count; row++) {
        const char *value = nd_settings_variable(environment, row->name);
        if (!value)
            continue;
        if (nd_setting_read(row, value, settings) == 0) {
            taken |= (uint64_t)1 << (row - nd_setting_table);
            continue;
        }
        nd_line_start(&line, text, sizeof text);
        put_unreadable(&line, row, value, settings);
        complain(text, arg);
    }
    for (; *environment; environment++) {
        const char *name = *environment + PREFIX_LENGTH;
        if (strncmp(*environment, PREFIX, PREFIX_LENGTH) != 0 || nd_setting_find(name, strcspn(name, "=")))
            continue;
        nd_line_start(&line, text, sizeof text);
        put_unknown(&line, name, strcspn(name, "="));
        complain(text, arg);
    }
    return taken;
}
