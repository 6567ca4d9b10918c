/* What lookups of this process have found out about name servers and later ones make use of. libc keeps such things in
 * the thread's _res. Forgotten when resolv.conf changes; a forked child inherits it. Thread-safe, and never waits:
 * where another thread is at it, nothing is known. */
#pragma once

#include "base/clock.h"
#include "resolver/resolv_conf.h"

/* A server that was silent is taken for dead for this long: the next one is asked after a short time, and its "no such
 * name" counts at once. */
#define ND_SERVER_SILENT_FOR (30 * ND_SEC)

struct nd_server_known {
    bool silent;            /* gave no answer in the time that libc waits for it */
    bool one_answer_a_port; /* of two questions from one port it, or a firewall before it, answers one */
};

/* Forgets all where `conf` is another version of the file than at the last call. */
void nd_servers_renew(const struct nd_resolv_conf *conf);

/* What is known of the server. */
struct nd_server_known nd_server_known(const union nd_server *server, nd_time now);

/* Notes that the server answered: it is not silent. */
void nd_server_answered(const union nd_server *server);

/* Notes that a lookup waited for the server for the time `waited` and got nothing. It is silent when that is `enough`,
 * or, where the limit of the lookups is shorter (`expired`), when several in a row have waited as long together. */
void nd_server_unanswered(const union nd_server *server, nd_time waited, nd_time enough, bool expired, nd_time now);

/* Notes that the server was asked two questions from one port and answered only one: from now on each has a port of its
 * own. */
void nd_server_answers_one_a_port(const union nd_server *server);
