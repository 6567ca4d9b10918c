#include "cli/imports.h"

#include <stdio.h>
#include <string.h>

#include "cli/elf_file.h"
#include "cli/loader.h"
#include "shim/report/operations.h"

/* Every symbol that the library interposes. */
static const char *const interposed[] = {
#define ND_HOOK(name, ...) #name,
#define ND_ALIAS(name, of) #name,
#define ND_TLS(name, ...) #name,
#include "shim/hooks.def"
};

/* Calls that can wait for a peer or a name server under another name than that of the operation: those of
 * _FORTIFY_SOURCE, older names that hooks.def has as aliases, and calls of other libraries. */
static const char *const waiting[] = {
    "__recv_chk",    "__recvfrom_chk", "__read_chk",   "__poll_chk", "__ppoll_chk",
    "getaddrinfo_a", "PR_Connect", /* NSPR's, under Mozilla's NSS */
    "PR_Recv",       "PR_Send",        "PR_Poll",      "preadv2",    "preadv64v2",
    "pwritev2",      "pwritev64v2",    "aio_read",     "aio_read64", "aio_write",
    "aio_write64",   "lio_listio",     "lio_listio64",
};

/* Names of the same function: NAME, OF, NAME, OF, ... */
static const char *const aliases[] = {
#define ND_ALIAS(name, of) #name, #of,
#include "shim/hooks.def"
};

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static const char *find(const char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return names[i];
    return NULL;
}

/* The operation that a call is known as, by its own name or as an alias. */
static enum nd_call operation_of(const char *name) {
    for (int i = 0; i < COUNT(aliases); i += 2)
        if (strcmp(aliases[i], name) == 0)
            name = aliases[i + 1];
    return nd_operation_find(name);
}

/* close waits only where the program has asked for that (SO_LINGER), and every program calls it. */
static bool may_wait(const char *name, enum nd_call operation) {
    return (operation != ND_OPERATION_NONE && operation != ND_OPERATION_close) || find(waiting, COUNT(waiting), name);
}

/* Whether only those who use the network make the call: others may read, write and poll. */
static bool is_of_network(const char *name, enum nd_call operation) {
    switch (nd_operation_table[operation].family) {
    case ND_FAMILY_CONNECT:
    case ND_FAMILY_ACCEPT:
    case ND_FAMILY_TLS_HANDSHAKE:
    case ND_FAMILY_LOOKUP:
        return true;
    default:
        return strcmp(name, "socket") == 0;
    }
}

static void add(const char **names, int *count, const char *name) {
    if (*count < IMPORTS_MOST_CALLS && !find(names, *count, name))
        names[(*count)++] = name;
}

static void take_import(const char *name, void *arg) {
    struct imports *imports = arg;
    enum nd_call operation = operation_of(name);
    imports->uses_network |= is_of_network(name, operation);
    imports->loads_modules |= strcmp(name, "dlopen") == 0;
    imports->uses_io_uring |= strncmp(name, "io_uring_queue_init", 19) == 0;
    imports->opens_namespaces |= strcmp(name, "dlmopen") == 0;
    imports->is_sanitized |= strcmp(name, "__asan_init") == 0;
    imports->filters_calls |= strcmp(name, "seccomp_load") == 0;
    const char *bounded = find(interposed, COUNT(interposed), name), *unbounded = find(waiting, COUNT(waiting), name);
    if (bounded && may_wait(name, operation))
        add(imports->bounded, &imports->bounded_count, bounded);
    else if (!bounded && unbounded)
        add(imports->unbounded, &imports->unbounded_count, unbounded);
}

static bool take_file(struct imports *imports, const char *path) {
    struct elf_file file;
    if (elf_open(&file, path) != 0)
        return false;
    elf_each_import(&file, take_import, imports);
    elf_close(&file);
    return true;
}

/* The imports of libc's own parts say nothing about the program. */
static bool is_part_of_libc(const char *path) {
    static const char *const parts[] = {"libc.so",        "libc.musl-", "ld-linux",   "ld-musl-",
                                        "libpthread.so.", "libdl.so.",  "librt.so.",  "libm.so.",
                                        "libresolv.so.",  "libnss_",    "libanl.so.", "libnetdeadline.so"};
    const char *name = strrchr(path, '/') + 1;
    for (int i = 0; i < COUNT(parts); i++)
        if (strncmp(name, parts[i], strlen(parts[i])) == 0)
            return true;
    return false;
}

/* Takes one line of the loader's list: "\tlibm.so.6 => /lib/libm.so.6 (0x7f…)", "\tlibx.so => not found". */
static void take_line(struct imports *imports, char *line) {
    char *path = strchr(line, '/');
    if (strstr(line, "not found")) {
        imports->missing++;
        return;
    }
    if (!path)
        return;
    char *end = strstr(path, " (0x");
    if (end)
        *end = '\0';
    if (!is_part_of_libc(path) && take_file(imports, path))
        imports->libraries++;
}

static void take_libraries(struct imports *imports, const char *loader, const char *path) {
    struct loader_list list;
    char line[4096];
    if (loader_list_open(&list, loader, path, NULL) != 0)
        return;
    while (fgets(line, sizeof line, list.file))
        take_line(imports, line);
    loader_list_close(&list);
}

void imports_collect(struct imports *imports, const char *path, const char *loader) {
    *imports = (struct imports){.bounded_count = 0};
    take_file(imports, path);
    if (loader)
        take_libraries(imports, loader, path);
}
