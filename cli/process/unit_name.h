/* The systemd service that a process belongs to. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Stores the name of the service, or nothing where the process is in none (a login session, a container) or that is not
 * known. The instances of a service that is started for each connection, whose names have the peer's address in them,
 * are one: sshd@.service. It is not escaped. */
void unit_name(pid_t pid, char *out, size_t size);

/* The same with the name of the instance whole, also of one for a connection. */
void unit_name_of_instance(pid_t pid, char *out, size_t size);

/* unit_name by the text of /proc/PID/cgroup. */
void unit_name_in(const char *cgroups, char *out, size_t size);
