/* The functions of a Go program, as the table tells that its own runtime unwinds by: it is there also in a program that
 * was stripped. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct go_functions {
    pid_t pid;
    uint64_t text;           /* that the entries count from */
    uint64_t count;          /* of functions */
    uint64_t names, entries; /* where these are in the process */
};

/* Finds the table in the process. Returns false where there is none (it is no Go program, or one of before Go 1.18) or
 * it may not be seen. */
bool go_functions_find(struct go_functions *functions, pid_t pid);

/* Reads the name of the function that `address` is in, such as "net/http.(*persistConn).readLoop". False if it is in
 * none. */
bool go_function_name(const struct go_functions *functions, uint64_t address, char *out, size_t size);
