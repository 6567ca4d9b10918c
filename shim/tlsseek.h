/* Which socket a TLS object talks through. Its library says, but to ask at each read and write costs as much as all else
 * together, and it may not know: programs may do the reading and writing themselves (libcurl, OpenLDAP), and the library knows
 * some pointer of theirs only. The first call of a handshake tells then: whoever begins one writes or reads first, before
 * anything else of the program's can come between. */
#ifndef ND_TLSSEEK_H
#define ND_TLSSEEK_H

#include "shim/sockets.h"

/* The descriptor that `object` was found to talk through, -1 for none, and its record: what was found holds until that is closed. One whose
 * object is gone may still be given for another object at the same address, which has made no handshake yet.
 * Async-signal-safe. */
int nd_tls_seek_known(const void *object, struct nd_sock **sock);

/* Has the next call on each connection that may be the one looked at. A byte of memory for each descriptor is read.
 * Async-signal-safe; keeps errno. */
void nd_tls_seek_mark(void);

/* `object` talks through `fd`. */
void nd_tls_seek_found(const void *object, int fd, struct nd_sock *sock);

#endif
