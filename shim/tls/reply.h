/* Which bytes of a TLS connection are a question that is owed an answer (ND_SOCK_SENT_LAST): the socket's own reads and writes
 * cannot tell them from TLS's. Everything here is async-signal-safe. */
#ifndef ND_TLS_REPLY_H
#define ND_TLS_REPLY_H

#include "shim/tls/operation.h"

/* Whether bytes have come in this read, and a question had gone out before. */
bool nd_tls_reply_received(const struct nd_tls_call *call);

/* There was nothing for the program: what came was TLS's own (a session ticket). The question stands unanswered, though the
 * kernel knows of bytes since. Where the library holds some, the answer may be there, and come without a read of ours. */
void nd_tls_keep_reply_pending(const struct nd_tls_call *call);

/* A handshake is over: its last word was no question. */
void nd_tls_forget_handshake(const struct nd_tls_call *call);

#endif
