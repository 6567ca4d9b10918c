#include "resolver/lookup_address.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "resolver/dns_answer.h"
#include "resolver/dns_search.h"
#include "resolver/hosts.h"
#include "resolver/nscd.h"

#define REVERSE_MAX 80 /* 32 nibbles with their dots and "ip6.arpa" are 73 */

/* ::ffff:a.b.c.d, and ::a.b.c.d except ::1, are looked up as IPv4. */
static bool is_ipv4_inside(const uint8_t *a) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, zero[12];
    static const uint8_t one[4] = {0, 0, 0, 1};
    return memcmp(a, mapped, 12) == 0 || (memcmp(a, zero, 12) == 0 && memcmp(a + 12, one, 4) != 0);
}

static void reverse_name(char name[REVERSE_MAX], const uint8_t *a, int family) {
    static const char digits[] = "0123456789abcdef";
    if (family == AF_INET) {
        snprintf(name, REVERSE_MAX, "%u.%u.%u.%u.in-addr.arpa", a[3], a[2], a[1], a[0]);
        return;
    }
    for (int i = 15; i >= 0; i--) {
        *name++ = digits[a[i] & 15];
        *name++ = '.';
        *name++ = digits[a[i] >> 4];
        *name++ = '.';
    }
    memcpy(name, "ip6.arpa", 9);
}

static void from_dns(struct nd_host *host, struct nd_config *config, const uint8_t *address, int *family,
                     struct nd_lookup *lookup) {
    if (!nd_config_get_resolv(host, config, lookup))
        return;
    struct nd_search s = {
        .conf = config->resolv, .lookup = lookup, .dns_class = 1, .type = ND_TYPE_PTR, .edns_size = 65535};
    char name[REVERSE_MAX];
    if (*family == AF_INET6 && is_ipv4_inside(address)) {
        address += 12;
        *family = AF_INET;
    }
    reverse_name(name, address, *family);
    if (nd_query(&s, name)) {
        nd_answer_ptr(host, &s.ask.answers[0]);
        if (host->status == ND_SUCCESS)
            nd_host_add_address(host, *family, address);
    } else { /* libc treats any failure, even a timeout, as "not found", and returns TRY_AGAIN only in h_errno */
        host->status = ND_NOTFOUND;
        host->h_err = h_errno = s.h_err;
    }
    nd_ask_free(&s.ask);
}

void nd_lookup_address(struct nd_host *host, struct nd_config *config, const void *address, int *family,
                       struct nd_lookup *lookup) {
    int asked = *family;
    if (nd_nscd_address(host, address, asked, lookup))
        return;
    for (int i = 0; i < config->sources.count; i++) {
        int before = i == 0 ? 0 : host->h_err;
        nd_host_free(host);
        *family = asked;
        if (config->sources.list[i] == ND_SOURCE_FILES)
            nd_hosts_by_address(host, address, asked);
        else
            from_dns(host, config, address, family, lookup);
        if (host->status != ND_SUCCESS && host->h_err == 0)
            host->h_err = before;
        nd_host_keep_h_errno(host, before);
        if (host->no_memory)
            host->status = ND_UNAVAIL, host->h_err = NETDB_INTERNAL;
        if (host->status == ND_SUCCESS || lookup->expired || lookup->libc_why)
            return;
    }
    lookup->libc_why = config->sources.rest_why;
}
