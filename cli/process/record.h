/* What the library in another process knows of its sockets, and the limits in force there. Only a library of this
 * command's own version has records of a known layout. They are hostile input: no number in them is so large that the
 * arithmetic of limits would overflow. */
#pragma once

#include "cli/process/block.h"
#include "shim/socket/record.h"

/* Puts the limits in force in the process into nd_settings: the library's functions then decide by them in this
 * process. Returns false where records cannot be read there. */
bool record_start(const struct block *block);

/* Reads the record of the process's descriptor `fd`. Puts the limits of its connection into nd_profiles, where sections
 * of the config file apply to it. Returns false where there is none. */
bool record_read(const struct block *block, int fd, struct nd_sock *sock);

/* Reads the name of the limit of the TLS operation in a record. */
void record_operation_limit(const struct block *block, const struct nd_sock *sock, char name[ND_OPERATION_NAME]);
