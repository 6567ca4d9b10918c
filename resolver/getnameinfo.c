#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <sys/utsname.h>

#include "resolver/lookup_address.h"
#include "resolver/musl.h"
#include "resolver/services.h"

#define KNOWN_FLAGS                                                                                                    \
    (NI_NUMERICHOST | NI_NUMERICSERV | NI_NOFQDN | NI_NAMEREQD | NI_DGRAM | NI_IDN | 192) /* former IDN flags */

struct request {
    const struct sockaddr *address;
    int flags;
    struct nd_lookup *lookup;
};

static int copy(char *to, size_t size, const char *text) {
    size_t length = strlen(text) + 1;
    if (length > size)
        return EAI_OVERFLOW;
    memcpy(to, text, length);
    return 0;
}

static int host_by_number(const struct sockaddr *address, char *host, size_t size) {
    char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 2];
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        return inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text) ? copy(host, size, text) : EAI_OVERFLOW;
    }
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    if (!inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text))
        return EAI_OVERFLOW;
    if (v6->sin6_scope_id != 0) {
        char name[IF_NAMESIZE] = "";
        size_t used = strlen(text);
        if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr) || IN6_IS_ADDR_MC_LINKLOCAL(&v6->sin6_addr))
            if_indextoname(v6->sin6_scope_id, name);
        if (*name)
            snprintf(text + used, sizeof text - used, "%%%s", name);
        else
            snprintf(text + used, sizeof text - used, "%%%u", v6->sin6_scope_id);
    }
    return copy(host, size, text);
}

/* EAI_NONAME: the address has no name. ND_LOOKUP_LIBC as in resolver.h. */
static int host_by_name(const struct request *r, char *text, size_t size) {
    const struct sockaddr *a = r->address;
    const void *bytes = a->sa_family == AF_INET ? (const void *)&((const struct sockaddr_in *)a)->sin_addr
                                                : (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr;
    int family = a->sa_family, code = EAI_NONAME;
    struct nd_config config;
    struct nd_host host;
    if (family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED((const struct in6_addr *)bytes))
        return EAI_NONAME;
    if (nd_config_get(&config, NULL, r->lookup) != 0)
        return ND_LOOKUP_LIBC;
    nd_host_init(&host);
    nd_lookup_address(&host, &config, bytes, &family, r->lookup);
    nd_config_put(&config);
    if (r->lookup->libc_why) {
        code = ND_LOOKUP_LIBC;
    } else if (host.status == ND_SUCCESS) {
        code = copy(text, size, host.canonical ? host.canonical : "");
    } else if (host.h_err == NETDB_INTERNAL) {
        errno = host.sys_err;
        code = EAI_SYSTEM;
    } else if (host.h_err == TRY_AGAIN) {
        code = EAI_AGAIN;
    }
    nd_host_free(&host);
    return code;
}

static int host_of_local(int flags, char *host, size_t size) {
    struct utsname names;
    if (!(flags & NI_NUMERICHOST) && uname(&names) == 0)
        return copy(host, size, names.nodename);
    return flags & NI_NAMEREQD ? EAI_NONAME : copy(host, size, "localhost");
}

static int find_host(const struct request *r, char *host, size_t size) {
    if (r->address->sa_family == AF_UNIX)
        return host_of_local(r->flags, host, size);
    if (!(r->flags & NI_NUMERICHOST)) {
        int code = host_by_name(r, host, size);
        if (code != EAI_NONAME)
            return code;
    }
    return r->flags & NI_NAMEREQD ? EAI_NONAME : host_by_number(r->address, host, size);
}

static int find_service(const struct request *r, char *service, size_t size) {
    char text[16];
    if (r->address->sa_family == AF_UNIX)
        return copy(service, size, ((const struct sockaddr_un *)r->address)->sun_path);
    int port = ntohs(((const struct sockaddr_in *)r->address)->sin_port); /* at the same offset in sockaddr_in6 */
    if (!(r->flags & NI_NUMERICSERV)) {
        int found = nd_service_name(service, size, port, r->flags & NI_DGRAM ? "udp" : "tcp");
        if (found != -1)
            return found == 0 ? 0 : EAI_OVERFLOW;
    }
    snprintf(text, sizeof text, "%d", port);
    return copy(service, size, text);
}

static int check(const struct sockaddr *address, socklen_t length, int flags, const char *host, const char *service) {
    if (flags & ~KNOWN_FLAGS)
        return EAI_BADFLAGS;
    if (!address || length < sizeof(sa_family_t))
        return EAI_FAMILY;
    if (flags & NI_NAMEREQD && !host && !service)
        return EAI_NONAME;
    size_t least = address->sa_family == AF_INET    ? sizeof(struct sockaddr_in)
                   : address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                   : address->sa_family == AF_UNIX  ? offsetof(struct sockaddr_un, sun_path)
                                                    : (size_t)-1;
    return length < least ? EAI_FAMILY : 0;
}

/* Only libc can do these: NI_NOFQDN looks up the local domain and caches it, NI_IDN decodes. */
static const char *needs_libc(const struct sockaddr *address, bool wants_host, bool wants_service, int flags) {
    if (address->sa_family == AF_UNIX)
        return NULL;
    if (wants_host && !(flags & NI_NUMERICHOST) && flags & (NI_NOFQDN | NI_IDN))
        return "NI_NOFQDN or NI_IDN";
    return wants_service && !(flags & NI_NUMERICSERV) ? nd_nsswitch_services() : NULL;
}

int nd_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size, char *service,
                   socklen_t service_size, int flags, struct nd_lookup *lookup) {
    struct request r = {address, flags, lookup};
    int saved = errno;
    if (nd_libc_is_musl())
        return nd_musl_getnameinfo(address, length, host, host_size, service, service_size, flags, lookup);
    nd_lookup_reset(lookup);
    int code = check(address, length, flags, host, service);
    if (code)
        return code;
    bool wants_host = host && host_size > 0, wants_service = service && service_size > 0;
    if ((lookup->libc_why = needs_libc(address, wants_host, wants_service, flags)) != NULL)
        return ND_LOOKUP_LIBC;
    if (wants_host)
        code = find_host(&r, host, host_size);
    if (code == 0 && wants_service)
        code = find_service(&r, service, service_size);
    if (code != EAI_SYSTEM)
        errno = saved;
    return code;
}
