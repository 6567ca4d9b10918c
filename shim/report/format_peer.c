#include "shim/report/format_peer.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

/* Used in place of libc's inet_ntop, which calls sprintf and so is not async-signal-safe. */
static void put_v4(struct nd_line *line, const uint8_t *bytes) {
    for (int i = 0; i < 4; i++) {
        nd_line_put(line, i ? "." : "");
        nd_line_put_number(line, bytes[i], 1);
    }
}

/* Finds the longest run of at least two zero groups, the first of several (RFC 5952). Returns its start; *length is 0
 * where there is none. */
static int longest_zeros(const uint16_t *groups, int *length) {
    int best = 0, run = 0;
    *length = 0;
    for (int i = 0; i < 8; i++) {
        run = groups[i] == 0 ? run + 1 : 0;
        if (run > *length && run > 1) {
            *length = run;
            best = i + 1 - run;
        }
    }
    return best;
}

static void put_v6(struct nd_line *line, const uint8_t *bytes) {
    uint16_t groups[8];
    int zeros_length;
    for (int i = 0; i < 8; i++)
        groups[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
    int zeros = longest_zeros(groups, &zeros_length);
    for (int i = 0; i < 8; i++) {
        if (zeros_length && i == zeros) {
            nd_line_put(line, "::");
            i += zeros_length - 1;
            continue;
        }
        if (i > 0 && !(zeros_length && i == zeros + zeros_length))
            nd_line_put_char(line, ':');
        nd_line_put_hex(line, groups[i]);
    }
}

static void put_v6_peer(struct nd_line *line, const struct sockaddr_in6 *address) {
    nd_line_put_char(line, '[');
    if (IN6_IS_ADDR_V4MAPPED(&address->sin6_addr)) {
        nd_line_put(line, "::ffff:");
        put_v4(line, address->sin6_addr.s6_addr + 12);
    } else {
        put_v6(line, address->sin6_addr.s6_addr);
    }
    if (address->sin6_scope_id) {
        nd_line_put_char(line, '%');
        nd_line_put_number(line, address->sin6_scope_id, 1);
    }
    nd_line_put(line, "]:");
    nd_line_put_number(line, ntohs(address->sin6_port), 1);
}

static void put_unix_peer(struct nd_line *line, const struct sockaddr_un *address, size_t length) {
    size_t most = length > offsetof(struct sockaddr_un, sun_path) ? length - offsetof(struct sockaddr_un, sun_path) : 0;
    if (most > sizeof address->sun_path)
        most = sizeof address->sun_path;
    nd_line_put(line, "unix:");
    if (most > 0 && address->sun_path[0] == '\0') {
        nd_line_put_char(line, '@');
        nd_line_put_escaped(line, address->sun_path + 1, most - 1, 300);
    } else {
        nd_line_put_escaped(line, address->sun_path, strnlen(address->sun_path, most), 300);
    }
}

void nd_format_put_peer(struct nd_line *line, const struct sockaddr *peer, socklen_t length) {
    union {
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
        struct sockaddr any;
    } address = {0};
    memcpy(&address, peer, length < sizeof address ? length : sizeof address);
    switch (length < sizeof(sa_family_t) ? AF_UNSPEC : address.any.sa_family) {
    case AF_INET:
        put_v4(line, (const uint8_t *)&address.v4.sin_addr);
        nd_line_put_char(line, ':');
        nd_line_put_number(line, ntohs(address.v4.sin_port), 1);
        break;
    case AF_INET6:
        put_v6_peer(line, &address.v6);
        break;
    case AF_UNIX:
        put_unix_peer(line, &address.local, length);
        break;
    default:
        nd_line_put(line, "family-");
        nd_line_put_number(line, address.any.sa_family, 1);
    }
}
