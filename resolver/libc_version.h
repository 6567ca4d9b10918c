/* The version of the C library that the program runs with, whose answers are followed. */
#pragma once

#include <stdbool.h>

/* Whether it is a glibc before 2.`minor`. Thread-safe. */
bool nd_libc_before(int minor);

/* What the versions do differently. */

/* From 2.9 on getaddrinfo asks a source for both families at once, and has what its hosts file has in one line. */
static inline bool nd_libc_asks_both_at_once(void) {
    return !nd_libc_before(9);
}

/* To 2.25 getaddrinfo tells EAI_NONAME of a name that has addresses of another family, where it asks for one family at
 * a time: it looked at errno, which nss_dns sets for other failures only (BZ 21922; 2.27, and the updates of 2.26). */
static inline bool nd_libc_tells_no_data(void) {
    return !nd_libc_before(26);
}

/* From 2.26 on an answer with records and no address in it is an internal error where both families are asked for;
 * before nothing was told of it, and the name does not exist (BZ 20532; 2.27, and the updates of 2.26). */
static inline bool nd_libc_tells_useless_answer(void) {
    return !nd_libc_before(26);
}

/* From 2.24 on an address of the wrong size ends the answer for one family; before it was passed over (BZ 19830). */
static inline bool nd_libc_stops_at_wrong_size(void) {
    return !nd_libc_before(24);
}

/* From 2.29 on nss_dns asks no question for what is no host name (BZ 24112). */
static inline bool nd_libc_checks_names(void) {
    return !nd_libc_before(29);
}

/* From 2.36 on nss_dns passes over aliases that are no host names, wants each address to belong to the name that was
 * asked for, and takes a damaged answer for none (BZ 12154). This came with 2.37 and the first update of 2.36. */
static inline bool nd_libc_passes_over_strange_names(void) {
    return !nd_libc_before(36);
}
