#include "shim/settings/settings.h"

#include <string.h>

#include "base/compiler.h"

struct nd_settings nd_settings ND_WRITTEN_AT_START;
_Atomic uint32_t nd_settings_generation;

#define FIELD(name) offsetof(struct nd_settings, name)

const struct nd_setting nd_setting_table[] = {
    {"RESOLVE", ND_SETTING_TIME, FIELD(resolve), 0, "15s", "one name lookup, everything included"},
    {"RESOLVE_ERROR", ND_SETTING_RESOLVE_ERROR, FIELD(resolve_error), 0, "again",
     "what an expired lookup says: again, or fail where programs repeat it for ever"},
    {"STALE", ND_SETTING_TIME, FIELD(stale), 0, "off",
     "how old a name's last good answer may be that is given where name servers are silent"},
    {"CONNECT", ND_SETTING_TIME, FIELD(connect), 0, "10s", "one connect"},
    {"ESTABLISH", ND_SETTING_TIME, FIELD(establish), 0, "off",
     "a name's lookup, connects to its addresses and the TLS handshake, together"},
    {"TLS_HANDSHAKE", ND_SETTING_TIME, FIELD(outbound.tls_handshake), 0, "10s", "a whole TLS handshake"},
    {"TLS_SHUTDOWN", ND_SETTING_TIME, FIELD(outbound.tls_shutdown), 0, "5s", "a whole TLS shutdown"},
    {"UNACKED", ND_SETTING_TIME, FIELD(outbound.unacked), FIELD(inbound.unacked), "60s",
     "nothing acknowledged while a call waits: the peer is gone"},
    {"RECV", ND_SETTING_TIME, FIELD(outbound.recv), 0, "off", "no incoming byte while a call waits"},
    {"SEND", ND_SETTING_TIME, FIELD(outbound.send), 0, "off", "no outgoing progress while a call waits"},
    {"KEEPALIVE", ND_SETTING_TIME, FIELD(outbound.keepalive), 0, "60s",
     "silence before dead-peer probes, which go on for UNACKED"},
    {"ACCEPT", ND_SETTING_TIME, FIELD(accept), 0, "off", "one wait for an incoming connection"},
    {"IDLE", ND_SETTING_TIME, FIELD(outbound.idle), 0, "off",
     "nothing moves on a connection, either way, while it is waited for"},
    {"LIFETIME", ND_SETTING_TIME, FIELD(outbound.lifetime), 0, "off", "the age of a connection"},
    {"MIN_RATE", ND_SETTING_RATE, FIELD(outbound), 0, "off", "fewer bytes than this in that time"},
    {"INBOUND_TLS_HANDSHAKE", ND_SETTING_TIME, FIELD(inbound.tls_handshake), 0, "60s",
     "TLS_HANDSHAKE for accepted sockets"},
    {"INBOUND_TLS_SHUTDOWN", ND_SETTING_TIME, FIELD(inbound.tls_shutdown), 0, "off",
     "TLS_SHUTDOWN for accepted sockets"},
    {"INBOUND_UNACKED", ND_SETTING_TIME, FIELD(inbound.unacked), 0, "60s",
     "UNACKED for accepted sockets; as UNACKED when only that is given"},
    {"INBOUND_RECV", ND_SETTING_TIME, FIELD(inbound.recv), 0, "off", "RECV for accepted sockets"},
    {"INBOUND_SEND", ND_SETTING_TIME, FIELD(inbound.send), 0, "off", "SEND for accepted sockets"},
    {"INBOUND_KEEPALIVE", ND_SETTING_TIME, FIELD(inbound.keepalive), 0, "5m", "KEEPALIVE for accepted sockets"},
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
_Static_assert(sizeof nd_setting_table / sizeof nd_setting_table[0] <= ND_LIVE_ROWS,
               "each has a row that is seen from outside");
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
    to->establish = from->establish;
    to->accept = from->accept;
    to->stale = from->stale;
    nd_limits_copy(&to->outbound, &from->outbound);
    nd_limits_copy(&to->inbound, &from->inbound);
}
