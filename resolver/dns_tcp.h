/* When a server is asked by TCP, of all that belongs to an exchange that began by UDP. */
#pragma once

#include "resolver/dns_exchange.h"

/* Whether the attempt is to be made again by TCP: its answer was truncated, or its connection was closed too early. Each
 * reset counts once. */
bool nd_tcp_replaces(struct nd_exchange *exchange, const struct nd_attempt *attempt);

/* Asks the server of the attempt in that place by TCP instead, as libc for all that it was asked. */
void nd_tcp_ask_instead(struct nd_exchange *exchange, int place, nd_time now);

/* libc asks all servers by TCP after an answer that was truncated. Here they are asked by UDP first, as TCP may be closed
 * to all of them, and by TCP where that brings nothing soon, as a large answer may be lost on its way, or a no. Returns
 * when that is due; ND_NEVER: not at all. */
nd_time nd_tcp_due(const struct nd_exchange *exchange, const struct nd_attempt *attempt);

/* Asks the server of the attempt by TCP, too. */
void nd_tcp_ask_also(struct nd_exchange *exchange, struct nd_attempt *attempt, nd_time now);
