#include "shim/report/operations.h"

#include <string.h>

const struct nd_operation_row nd_operation_table[ND_OPERATIONS] = {
#define ND_OPERATION(name, family, limit, direction)                                                                   \
    [ND_OPERATION_##name] = {ND_FAMILY_##family, ND_LIMIT_##limit, ND_MOVES_##direction},
#include "shim/report/operations.def"
};

const char nd_operation_names[ND_OPERATIONS][ND_OPERATION_NAME] = {
    "",
#define ND_OPERATION(name, ...) #name,
#include "shim/report/operations.def"
};

#define ND_OPERATION(name, ...) _Static_assert(sizeof #name <= ND_OPERATION_NAME, "a name ends within its field");
#include "shim/report/operations.def"

const char nd_limit_names[ND_LIMITS][ND_OPERATION_NAME] = {
    "",
#define ND_LIMIT(name) #name,
#include "shim/report/operations.def"
};

const char nd_inbound_limit_names[ND_LIMITS][ND_OPERATION_NAME] = {
    "",
#define ND_LIMIT(name) "INBOUND_" #name,
#include "shim/report/operations.def"
};

enum nd_call nd_operation_find(const char *name) {
    uintptr_t offset = (uintptr_t)name - (uintptr_t)nd_operation_names;
    if (offset < sizeof nd_operation_names && offset % ND_OPERATION_NAME == 0)
        return (enum nd_call)(offset / ND_OPERATION_NAME);
    for (unsigned i = 1; i < ND_OPERATIONS; i++)
        if (strcmp(nd_operation_names[i], name) == 0)
            return (enum nd_call)i;
    return ND_OPERATION_NONE;
}
