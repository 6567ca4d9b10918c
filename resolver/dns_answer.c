#include "resolver/dns_answer.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "resolver/dns_answer_old.h"
#include "resolver/libc_version.h"

#define CLASS_IN 1
#define TEXT_MAX 257 /* glibc's MAXHOSTNAMELEN + 1 */

static void set_status(struct nd_host *host, enum nd_status status, int h_err) {
    host->status = status;
    host->h_err = h_err;
    if (status == ND_UNAVAIL)
        host->sys_err = EMSGSIZE; /* the errno of libc's unpacking functions */
}

static bool host_text(const uint8_t *wire, char text[TEXT_MAX]) {
    return nd_name_is_host(wire) && nd_name_to_text(wire, text, TEXT_MAX) >= 0;
}

static bool is_address(const struct nd_dns_record *r, unsigned type, const uint8_t *expected) {
    return r->type == type && r->size == (type == ND_TYPE_A ? 4 : 16) && nd_name_equal(r->owner, expected);
}

static enum nd_status bad_packet(struct nd_host *host) {
    host->h_err = NO_RECOVERY;
    return ND_UNAVAIL;
}

/* As in glibc, the owner of a CNAME is not checked; the records after it must belong to its target. */
static enum nd_status read_family(struct nd_host *host, const struct nd_dns_message *m, bool want_canonical) {
    uint8_t expected[ND_WIRE_NAME_MAX], canonical[ND_WIRE_NAME_MAX];
    struct nd_dns_reader reader;
    struct nd_dns_record record;
    char text[TEXT_MAX];
    size_t before = host->count;
    if (!nd_dns_read(&reader, m->bytes, m->size, expected))
        return bad_packet(host);
    unsigned type = nd_get16(m->bytes + reader.at - 4);
    host->h_err = HOST_NOT_FOUND;
    if (reader.left == 0 || !nd_name_is_host(expected) || (type != ND_TYPE_A && type != ND_TYPE_AAAA))
        return ND_NOTFOUND;
    memcpy(canonical, expected, sizeof canonical);

    int more;
    while ((more = nd_dns_next(&reader, &record)) > 0) {
        if (record.type == ND_TYPE_CNAME) {
            if (nd_name_unpack(m->bytes, m->size, record.at, expected) < 0)
                return bad_packet(host);
            if (nd_name_is_host(expected))
                memcpy(canonical, expected, sizeof canonical);
        } else if (is_address(&record, type, expected)) {
            if (want_canonical && nd_name_to_text(canonical, text, sizeof text) >= 0)
                nd_host_set_canonical(host, text, strlen(text));
            want_canonical = false;
            nd_host_add_address(host, type == ND_TYPE_A ? AF_INET : AF_INET6, m->bytes + record.at);
        }
    }
    if (more < 0)
        return bad_packet(host);
    if (host->count == before)
        return ND_NOTFOUND;
    host->h_err = 0;
    return ND_SUCCESS;
}

void nd_answer_both(struct nd_host *host, const struct nd_dns_message *first, const struct nd_dns_message *second) {
    enum nd_status status = ND_NOTFOUND;
    if (!nd_libc_passes_over_strange_names()) {
        nd_old_answer_both(host, first, second);
        return;
    }
    if (first->bytes)
        status = read_family(host, first, true);
    if (second->bytes && (status == ND_SUCCESS || status == ND_NOTFOUND)) {
        enum nd_status status2 = read_family(host, second, status != ND_SUCCESS);
        if (status != ND_SUCCESS && status2 != ND_NOTFOUND)
            status = status2;
    }
    host->status = status;
}

/* The question's name and the target of each CNAME are aliases; the last of them is the canonical name. */
static bool add_alias(struct nd_host *host, const uint8_t *wire) {
    char text[TEXT_MAX];
    if (!host_text(wire, text))
        return false;
    if (host->canonical)
        nd_host_add_name(host, host->canonical, strlen(host->canonical));
    nd_host_set_canonical(host, text, strlen(text));
    return true;
}

void nd_answer_one(struct nd_host *host, const struct nd_dns_message *m, int family) {
    unsigned type = family == AF_INET ? ND_TYPE_A : ND_TYPE_AAAA;
    uint8_t expected[ND_WIRE_NAME_MAX];
    struct nd_dns_reader reader;
    struct nd_dns_record record;
    if (!nd_libc_passes_over_strange_names()) {
        nd_old_answer_one(host, m, family);
        return;
    }
    if (!nd_dns_read(&reader, m->bytes, m->size, expected)) {
        set_status(host, ND_UNAVAIL, NO_RECOVERY);
        return;
    }
    host->sys_err = ENOENT;
    if (nd_dns_rcode(m->bytes) == ND_NXDOMAIN || !add_alias(host, expected)) {
        set_status(host, ND_NOTFOUND, HOST_NOT_FOUND);
        return;
    }
    int more;
    while ((more = nd_dns_next(&reader, &record)) > 0) {
        if (record.dns_class != CLASS_IN)
            continue;
        if (record.type == ND_TYPE_CNAME) {
            if (nd_name_unpack(m->bytes, m->size, record.at, expected) < 0) {
                more = -1;
                break;
            }
            add_alias(host, expected);
        } else if (is_address(&record, type, expected)) {
            nd_host_add_address(host, family, m->bytes + record.at);
        }
    }
    if (more < 0)
        set_status(host, ND_UNAVAIL, NO_RECOVERY);
    else if (host->count == 0)
        set_status(host, ND_TRYAGAIN, NO_RECOVERY);
    else
        set_status(host, ND_SUCCESS, 0);
}

void nd_answer_ptr(struct nd_host *host, const struct nd_dns_message *m) {
    uint8_t expected[ND_WIRE_NAME_MAX];
    struct nd_dns_reader reader;
    struct nd_dns_record record;
    char text[TEXT_MAX];
    int more = -1;
    if (!nd_libc_passes_over_strange_names()) {
        nd_old_answer_ptr(host, m);
        return;
    }
    set_status(host, ND_UNAVAIL, NO_RECOVERY);
    if (!nd_dns_read(&reader, m->bytes, m->size, expected))
        return;
    while ((more = nd_dns_next(&reader, &record)) > 0) {
        if (record.dns_class != CLASS_IN)
            continue;
        bool wanted = record.type == ND_TYPE_PTR && nd_name_equal(record.owner, expected);
        if (record.type != ND_TYPE_CNAME && !wanted)
            continue;
        if (nd_name_unpack(m->bytes, m->size, record.at, expected) < 0)
            return;
        if (!wanted)
            continue;
        if (host_text(expected, text)) {
            nd_host_set_canonical(host, text, strlen(text));
            set_status(host, ND_SUCCESS, 0);
        } else { /* no function has failed in libc: errno, and what gethostbyaddr_r returns, are 0 */
            set_status(host, ND_NOTFOUND, NO_RECOVERY);
        }
        return;
    }
    if (more < 0)
        return;
    host->sys_err = ENOENT;
    set_status(host, ND_TRYAGAIN, NO_RECOVERY);
}
