/* What can be seen of the library from outside, in the process's memory (DESIGN.md §6): found by its exported name. */
#ifndef ND_STATE_H
#define ND_STATE_H

#include <stdint.h>

#include "shim/settings.h"

#define ND_STATE_MAGIC "netdeadl"
#define ND_STATE_VERSION 1

struct nd_state {
    char magic[8];
    uint32_t version, size;
    const struct nd_settings *settings; /* in force in this process */
};

/* Exported. Inside the library use nd_state: another copy's block may stand before ours under this name. */
extern struct nd_state netdeadline_state;

#endif
