/* Reads DNS answers as musl does: owners and classes of records are not looked at. Any input is safe. */
#pragma once

#include "resolver/musl.h"

struct nd_musl_record {
    const uint8_t *packet;
    size_t size; /* of the packet */
    unsigned type;
    size_t at, length; /* of the data, which the packet has */
};

/* Calls `take` for each record of the answer section until it says false, or one is damaged. */
void nd_musl_records(const uint8_t *packet, size_t size, bool (*take)(void *, const struct nd_musl_record *),
                     void *user);

/* The name in the packet at `at`. False: it is damaged. */
bool nd_musl_expand(const uint8_t *packet, size_t size, size_t at, char name[ND_MUSL_NAME]);

/* Whether musl takes it for a host's canonical name. */
bool nd_musl_is_host(const char *name);
