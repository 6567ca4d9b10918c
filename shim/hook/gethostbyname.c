/* gethostbyname, gethostbyaddr and their other forms, made in the same way as getaddrinfo. A function that another
 * library has in place of libc's is called itself, since that library may not have the related ones. */
#include <errno.h>

#include "resolver/gethostby.h"
#include "resolver/helper_calls.h"
#include "resolver/helper_others.h"
#include "shim/call/lookup.h"
#include "shim/hook/hook.h"
#include "shim/next.h"

/* Ends the lookup, of a name or (NULL) of an address, which has found `host` or NULL. */
static struct hostent *finish(struct nd_lookup_use *use, struct nd_lookup *lookup, struct hostent *host) {
    nd_lookup_set_h_errno(lookup);
    nd_lookup_end(use, use->name, lookup);
    nd_lookup_found_host(use, use->name, host);
    return host;
}

/* The same for the forms with a buffer, whose result is `code`. */
static int finish_r(struct nd_lookup_use *use, struct nd_lookup *lookup, int code, struct hostent *const *result,
                    int *h_err) {
    *h_err = nd_lookup_h_err(lookup, *h_err);
    finish(use, lookup, code == 0 ? *result : NULL);
    return code;
}

/* libc's gethostbyname asks for IPv6 first where the option inet6 is set (before glibc 2.30). */
static int by_libc_r(const char *name, bool any_family, int family, struct hostent *entry, char *buffer, size_t size,
                     struct hostent **result, int *h_err, struct nd_lookup *lookup) {
    if (any_family && lookup->prefers_ipv6) {
        int code = nd_helper_gethostbyname2_r(nd_real.gethostbyname2_r, name, AF_INET6, entry, buffer, size, result,
                                              h_err, lookup);
        if (*result || code == ERANGE || lookup->expired)
            return code;
    }
    return nd_helper_gethostbyname2_r(nd_real.gethostbyname2_r, name, family, entry, buffer, size, result, h_err,
                                      lookup);
}

ND_COLD static int by_name_r(enum nd_call operation, const char *name, int family, struct hostent *entry, char *buffer,
                             size_t size, struct hostent **result, int *h_err) {
    const bool any_family = operation == ND_OPERATION_gethostbyname_r;
    struct nd_lookup_use use;
    struct nd_lookup lookup = nd_lookup_begin(&use, operation, name);
    nd_lookup_to_connect(&use, &lookup, family);
    struct nd_host_call other = {.name = name, .family = family};
    if (any_family)
        other.gethostbyname_r = nd_next_is(gethostbyname_r) ? nd_real.gethostbyname_r : NULL;
    else
        other.gethostbyname2_r = nd_next_is(gethostbyname2_r) ? nd_real.gethostbyname2_r : NULL;
    int code;
    if (other.gethostbyname_r || other.gethostbyname2_r)
        code = nd_others_host_r(&other, entry, buffer, size, result, h_err, &lookup);
    else
        code = nd_gethostbyname2_r(name, family, entry, buffer, size, result, h_err, &lookup);
    if (lookup.libc_why)
        code = by_libc_r(name, any_family, family, entry, buffer, size, result, h_err, &lookup);
    return finish_r(&use, &lookup, code, result, h_err);
}

int nd_hook_gethostbyname2_r(const char *name, int family, struct hostent *entry, char *buffer, size_t size,
                             struct hostent **result, int *h_err) {
    if (nd_lookup_to_connect_is_bounded(name))
        return by_name_r(ND_OPERATION_gethostbyname2_r, name, family, entry, buffer, size, result, h_err);
    int code = nd_lookup_by_libc(ND_OPERATION_gethostbyname2_r, name,
                                 nd_real.gethostbyname2_r(name, family, entry, buffer, size, result, h_err));
    nd_lookup_found_host(NULL, name, code == 0 ? *result : NULL);
    return code;
}

int nd_hook_gethostbyname_r(const char *name, struct hostent *entry, char *buffer, size_t size, struct hostent **result,
                            int *h_err) {
    if (nd_lookup_to_connect_is_bounded(name))
        return by_name_r(ND_OPERATION_gethostbyname_r, name, AF_INET, entry, buffer, size, result, h_err);
    int code = nd_lookup_by_libc(ND_OPERATION_gethostbyname_r, name,
                                 nd_real.gethostbyname_r(name, entry, buffer, size, result, h_err));
    nd_lookup_found_host(NULL, name, code == 0 ? *result : NULL);
    return code;
}

/* In libc gethostbyname and gethostbyname2 have a static result each; so they have here. */
ND_COLD static struct hostent *by_name(enum nd_call operation, const char *name, int family) {
    static struct nd_static_hostent storages[2];
    const bool any_family = operation == ND_OPERATION_gethostbyname;
    struct nd_lookup_use use;
    struct nd_lookup lookup = nd_lookup_begin(&use, operation, name);
    nd_lookup_to_connect(&use, &lookup, family);
    struct nd_host_call other = {.name = name, .family = family};
    if (any_family)
        other.gethostbyname = nd_next_is(gethostbyname) ? nd_real.gethostbyname : NULL;
    else
        other.gethostbyname2 = nd_next_is(gethostbyname2) ? nd_real.gethostbyname2 : NULL;
    struct hostent *found;
    if (other.gethostbyname || other.gethostbyname2)
        found = nd_others_host(&storages[any_family], &other, &lookup);
    else
        found = any_family ? nd_gethostbyname(name, &lookup) : nd_gethostbyname2(name, family, &lookup);
    if (lookup.libc_why && any_family && lookup.prefers_ipv6)
        found = nd_helper_gethostbyname2(nd_real.gethostbyname2_r, name, AF_INET6, &lookup);
    if (lookup.libc_why && !found && !lookup.expired)
        found = nd_helper_gethostbyname2(nd_real.gethostbyname2_r, name, family, &lookup);
    return finish(&use, &lookup, found);
}

struct hostent *nd_hook_gethostbyname(const char *name) {
    if (nd_lookup_to_connect_is_bounded(name))
        return by_name(ND_OPERATION_gethostbyname, name, AF_INET);
    struct hostent *found = nd_lookup_by_libc(ND_OPERATION_gethostbyname, name, nd_real.gethostbyname(name));
    nd_lookup_found_host(NULL, name, found);
    return found;
}

struct hostent *nd_hook_gethostbyname2(const char *name, int family) {
    if (nd_lookup_to_connect_is_bounded(name))
        return by_name(ND_OPERATION_gethostbyname2, name, family);
    struct hostent *found = nd_lookup_by_libc(ND_OPERATION_gethostbyname2, name, nd_real.gethostbyname2(name, family));
    nd_lookup_found_host(NULL, name, found);
    return found;
}

ND_COLD static int by_address_r(const void *address, socklen_t length, int family, struct hostent *entry, char *buffer,
                                size_t size, struct hostent **result, int *h_err) {
    struct nd_lookup_use use;
    struct nd_lookup lookup = nd_lookup_begin(&use, ND_OPERATION_gethostbyaddr_r, NULL);
    struct nd_host_call other = {
        .gethostbyaddr_r = nd_real.gethostbyaddr_r, .address = address, .length = length, .family = family};
    int code;
    if (nd_next_is(gethostbyaddr_r))
        code = nd_others_host_r(&other, entry, buffer, size, result, h_err, &lookup);
    else
        code = nd_gethostbyaddr_r(address, length, family, entry, buffer, size, result, h_err, &lookup);
    if (lookup.libc_why)
        code = nd_helper_gethostbyaddr_r(nd_real.gethostbyaddr_r, address, length, family, entry, buffer, size, result,
                                         h_err, &lookup);
    return finish_r(&use, &lookup, code, result, h_err);
}

int nd_hook_gethostbyaddr_r(const void *address, socklen_t length, int family, struct hostent *entry, char *buffer,
                            size_t size, struct hostent **result, int *h_err) {
    if (nd_lookup_is_bounded(NULL))
        return by_address_r(address, length, family, entry, buffer, size, result, h_err);
    return nd_lookup_by_libc(ND_OPERATION_gethostbyaddr_r, NULL,
                             nd_real.gethostbyaddr_r(address, length, family, entry, buffer, size, result, h_err));
}

ND_COLD static struct hostent *by_address(const void *address, socklen_t length, int family) {
    static struct nd_static_hostent storage;
    struct nd_lookup_use use;
    struct nd_lookup lookup = nd_lookup_begin(&use, ND_OPERATION_gethostbyaddr, NULL);
    const struct nd_host_call other = {
        .gethostbyaddr = nd_real.gethostbyaddr, .address = address, .length = length, .family = family};
    struct hostent *found = nd_next_is(gethostbyaddr) ? nd_others_host(&storage, &other, &lookup)
                                                      : nd_gethostbyaddr(address, length, family, &lookup);
    if (lookup.libc_why)
        found = nd_helper_gethostbyaddr(nd_real.gethostbyaddr_r, address, length, family, &lookup);
    return finish(&use, &lookup, found);
}

struct hostent *nd_hook_gethostbyaddr(const void *address, socklen_t length, int family) {
    if (nd_lookup_is_bounded(NULL))
        return by_address(address, length, family);
    return nd_lookup_by_libc(ND_OPERATION_gethostbyaddr, NULL, nd_real.gethostbyaddr(address, length, family));
}
