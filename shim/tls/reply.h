/* Whether a reply is pending on a TLS connection (ND_SOCK_SENT_LAST). The reads and writes on its socket cannot tell:
 * they also transfer messages of TLS itself. All functions are async-signal-safe. */
#pragma once

#include "shim/tls/operation.h"

/* Whether bytes were received in this read while a reply was pending. */
bool nd_tls_reply_received(const struct nd_tls_call *call);

/* Called where those bytes were messages of TLS itself (a session ticket) and nothing was for the program: the reply
 * stays pending. Except where the library holds bytes that it has not processed: the reply may be among them, and no
 * further read of the socket would show it. */
void nd_tls_keep_reply_pending(const struct nd_tls_call *call);

/* Called at the end of a handshake: its last message needs no reply. */
void nd_tls_forget_handshake(const struct nd_tls_call *call);
