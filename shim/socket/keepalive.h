/* TCP keepalive on a connection, or on a listener that hands it on: KEEPALIVE of silence, then probes for UNACKED. The
 * program keeps seeing its own values, and the shorter times of both are in force. Everything here is async-signal-safe
 * and keeps errno. */
#pragma once

#include "shim/socket/record.h"

struct nd_limits;

/* Sets the options by `limits`: four system calls. Does nothing where they stand already, where the program has
 * switched keepalive off, or where the kernel refuses (MPTCP before Linux 6.6). */
void nd_keepalive_arm(int fd, struct nd_sock *sock, const struct nd_limits *limits);

/* After which silence of the peer probes begin on a socket on which the options are set, and how long they go on. */
void nd_keepalive_times(const struct nd_sock *sock, const struct nd_limits *limits, nd_time *silence, nd_time *probing);

/* Restores the program's own values. */
void nd_keepalive_disarm(int fd, struct nd_sock *sock);

/* Reads the program's values of a socket whose setsockopt calls no hook has seen: four system calls. */
void nd_keepalive_discover(int fd, struct nd_sock *sock);

/* An accepted socket has its listener's options. */
void nd_keepalive_inherit(const struct nd_sock *listener, struct nd_sock *sock);

/* The kernel has accepted the program's `value` for an option: notes it if it is one of these, and puts the shorter
 * times in force. Returns whether it is. */
bool nd_keepalive_program_set(int fd, struct nd_sock *sock, int level, int name, const void *value);

/* What the program would read for one of the options while ours stand, in *value. Returns false where it is none of
 * them. */
bool nd_keepalive_read_back(const struct nd_sock *sock, int level, int name, int *value);
