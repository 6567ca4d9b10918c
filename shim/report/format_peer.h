/* Writes a socket address. Async-signal-safe. */
#pragma once

#include <sys/socket.h>

#include "base/line.h"

/* Appends "192.0.2.1:80", "[2001:db8::1]:443", "unix:/run/x", "unix:@abstract"; escaped. */
void nd_format_put_peer(struct nd_line *line, const struct sockaddr *peer, socklen_t length);
