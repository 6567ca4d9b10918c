#include "resolver/gethostby.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "resolver/hostent.h"
#include "resolver/libc_version.h"
#include "resolver/lookup_address.h"
#include "resolver/lookup_name.h"
#include "resolver/musl.h"
#include "resolver/numeric.h"

/* A name that looks like an address is parsed, or not found; no source is asked for it. True: handled. */
static bool name_from_digits(struct nd_host *host, const char *name, int family) {
    unsigned char bytes[16];
    bool good;
    if (*name >= '0' && *name <= '9' && name[strspn(name, "0123456789.")] == '\0') {
        if (name[strlen(name) - 1] == '.')
            return false;
        good = family == AF_INET ? nd_parse_ipv4(name, (struct in_addr *)bytes) : inet_pton(AF_INET6, name, bytes) > 0;
    } else if (*name == ':' || (strspn(name, "0123456789abcdefABCDEF") > 0 && strchr(name, ':'))) {
        good = false;
        if (family == AF_INET6) {
            if (name[strspn(name, "0123456789abcdefABCDEF:.")] != '\0' || name[strlen(name) - 1] == '.')
                return false;
            good = inet_pton(AF_INET6, name, bytes) > 0;
        }
    } else {
        return false;
    }
    host->h_err = good ? 0 : HOST_NOT_FOUND;
    host->status = good ? ND_SUCCESS : ND_NOTFOUND;
    if (good) {
        nd_host_add_address(host, family, bytes);
        nd_host_set_canonical(host, name, strlen(name));
    }
    return true;
}

/* False: libc has to make the lookup. */
static bool by_name(struct nd_host *host, const char *name, int family, struct nd_lookup *lookup) {
    struct nd_config config;
    nd_host_init(host);
    nd_lookup_reset(lookup);
    if (!name || (family != AF_INET && family != AF_INET6)) {
        lookup->libc_why = "arguments that only libc understands";
        return false;
    }
    if (name_from_digits(host, name, family))
        return true;
    if (nd_config_get(&config, name, lookup) != 0)
        return false;
    /* The option inet6 of old versions holds for the names in the hosts file, too. */
    if (!nd_libc_before(30) || (nd_config_get_resolv(host, &config, lookup) && !config.resolv->inet6))
        nd_lookup_name(host, &config, name, ND_ONE_FAMILY, family, lookup);
    lookup->prefers_ipv6 = lookup->libc_why && config.resolv && config.resolv->inet6;
    nd_config_put(&config);
    return !lookup->libc_why;
}

static bool by_address(struct nd_host *host, const void *address, socklen_t length, int *family,
                       struct nd_lookup *lookup) {
    struct nd_config config;
    nd_host_init(host);
    nd_lookup_reset(lookup);
    if (!address || !((*family == AF_INET && length == 4) || (*family == AF_INET6 && length == 16))) {
        lookup->libc_why = "arguments that only libc understands";
        return false;
    }
    if (nd_config_get(&config, NULL, lookup) != 0)
        return false;
    nd_lookup_address(host, &config, address, family, lookup);
    nd_config_put(&config);
    return !lookup->libc_why;
}

int nd_gethostbyname2_r(const char *name, int family, struct hostent *entry, char *buffer, size_t size,
                        struct hostent **result, int *h_err, struct nd_lookup *lookup) {
    struct nd_host host;
    int code = -1;
    if (nd_libc_is_musl())
        return nd_musl_gethostbyname2_r(name, family, entry, buffer, size, result, h_err, lookup);
    if (by_name(&host, name, family, lookup))
        code = nd_finish_hostent(&host, family, entry, buffer, size, result, h_err);
    nd_host_free(&host);
    return code;
}

static bool is_unspecified(const void *address, socklen_t length) {
    static const char zero[16];
    return address && length == sizeof zero && memcmp(address, zero, sizeof zero) == 0;
}

int nd_gethostbyaddr_r(const void *address, socklen_t length, int family, struct hostent *entry, char *buffer,
                       size_t size, struct hostent **result, int *h_err, struct nd_lookup *lookup) {
    struct nd_host host;
    int code = -1;
    if (nd_libc_is_musl())
        return nd_musl_gethostbyaddr_r(address, length, family, entry, buffer, size, result, h_err, lookup);
    if (is_unspecified(address, length)) {
        nd_lookup_reset(lookup);
        *h_err = HOST_NOT_FOUND;
        *result = NULL;
        return ENOENT;
    }
    if (by_address(&host, address, length, &family, lookup))
        code = nd_finish_hostent(&host, family, entry, buffer, size, result, h_err);
    nd_host_free(&host);
    return code;
}

static struct hostent *by_name_static(struct nd_static_hostent *storage, const char *name, int family,
                                      struct nd_lookup *lookup) {
    struct nd_host host;
    struct hostent *result = NULL;
    if (nd_libc_is_musl())
        return nd_musl_gethostbyname2(name, family, lookup);
    if (by_name(&host, name, family, lookup))
        result = nd_finish_static(storage, &host, family);
    nd_host_free(&host);
    return result;
}

struct hostent *nd_gethostbyname2(const char *name, int family, struct nd_lookup *lookup) {
    static struct nd_static_hostent storage;
    return by_name_static(&storage, name, family, lookup);
}

struct hostent *nd_gethostbyname(const char *name, struct nd_lookup *lookup) {
    static struct nd_static_hostent storage;
    return by_name_static(&storage, name, AF_INET, lookup);
}

struct hostent *nd_gethostbyaddr(const void *address, socklen_t length, int family, struct nd_lookup *lookup) {
    static struct nd_static_hostent storage;
    struct nd_host host;
    struct hostent *result = NULL;
    if (nd_libc_is_musl())
        return nd_musl_gethostbyaddr(address, length, family, lookup);
    if (is_unspecified(address, length)) {
        nd_lookup_reset(lookup);
        h_errno = HOST_NOT_FOUND;
        return NULL;
    }
    if (by_address(&host, address, length, &family, lookup))
        result = nd_finish_static(&storage, &host, family);
    nd_host_free(&host);
    return result;
}
