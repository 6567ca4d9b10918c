#include "resolver/dns_answer_old.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "resolver/libc_version.h"

#define CLASS_IN 1
#define TEXT_MAX 257 /* glibc's MAXHOSTNAMELEN + 1 */

static void set_status(struct nd_host *host, enum nd_status status, int h_err, int sys_err) {
    host->status = status;
    host->h_err = h_err;
    host->sys_err = sys_err;
}

/* Reads the question. False: it is damaged, or it asks for what must be a host's name and is none. */
static bool read_question(struct nd_host *host, const struct nd_dns_message *m, struct nd_dns_reader *reader,
                          uint8_t name[ND_WIRE_NAME_MAX], bool must_be_host) {
    bool good = nd_dns_read(reader, m->bytes, m->size, name);
    if (!good)
        set_status(host, ND_UNAVAIL, NO_RECOVERY, EMSGSIZE);
    else if (must_be_host && !nd_name_is_host(name))
        set_status(host, ND_UNAVAIL, NO_RECOVERY, EBADMSG);
    else
        return true;
    return false;
}

/* Reads the next record of the class IN. False: there is none, or libc reads no further; what came before counts.
 * sys_err becomes what libc's unpacking functions leave in errno. */
static bool next_record(struct nd_host *host, struct nd_dns_reader *reader, struct nd_dns_record *record, bool hosts) {
    do {
        if (reader->left == 0 || reader->at >= reader->size)
            return false;
        if (nd_dns_next(reader, record) < 0) {
            uint8_t owner[ND_WIRE_NAME_MAX];
            if (nd_name_unpack(reader->packet, reader->size, reader->at, owner) < 0)
                host->sys_err = EMSGSIZE;
            return false;
        }
        if (hosts && !nd_name_is_host(record->owner))
            return false;
    } while (record->dns_class != CLASS_IN);
    return true;
}

/* Reads the name in a record. libc goes on behind the name, even where the record is longer. */
static bool read_target(struct nd_host *host, struct nd_dns_reader *reader, const struct nd_dns_record *record,
                        uint8_t name[ND_WIRE_NAME_MAX], bool must_be_host) {
    int used = nd_name_unpack(reader->packet, reader->size, record->at, name);
    if (used < 0) {
        host->sys_err = EMSGSIZE;
        return false;
    }
    reader->at = record->at + (size_t)used;
    return !must_be_host || nd_name_is_host(name);
}

static void set_canonical(struct nd_host *host, const uint8_t *wire) {
    char text[TEXT_MAX];
    if (nd_name_to_text(wire, text, sizeof text) >= 0)
        nd_host_set_canonical(host, text, strlen(text));
}

static size_t address_size(unsigned type) {
    return type == ND_TYPE_A ? 4 : 16;
}

/* Addresses of both families count, whoever their owner is. */
static enum nd_status read_family(struct nd_host *host, const struct nd_dns_message *m) {
    uint8_t target[ND_WIRE_NAME_MAX], name[ND_WIRE_NAME_MAX];
    struct nd_dns_reader reader;
    struct nd_dns_record record;
    bool first = host->count == 0, alias = false;
    size_t before = host->count;
    host->sys_err = 0;
    if (!read_question(host, m, &reader, name, true))
        return host->status;
    host->h_err = HOST_NOT_FOUND;
    if (reader.left == 0)
        return ND_NOTFOUND;
    while (next_record(host, &reader, &record, true)) {
        if (record.type == ND_TYPE_CNAME) {
            if (!read_target(host, &reader, &record, target, true))
                break;
            memcpy(name, target, sizeof name);
            alias = host->count == 0;
        } else if (record.type == ND_TYPE_A || record.type == ND_TYPE_AAAA) {
            if (record.size != address_size(record.type))
                break;
            if (host->count == 0)
                set_canonical(host, alias ? name : record.owner);
            nd_host_add_address(host, record.type == ND_TYPE_A ? AF_INET : AF_INET6, m->bytes + record.at);
        }
    }
    if (host->count > before) {
        host->h_err = 0;
        return ND_SUCCESS;
    }
    if (first && alias)
        return ND_NOTFOUND;
    if (nd_libc_tells_useless_answer())
        host->h_err = NETDB_INTERNAL;
    return ND_TRYAGAIN;
}

void nd_old_answer_both(struct nd_host *host, const struct nd_dns_message *first, const struct nd_dns_message *second) {
    enum nd_status status = ND_NOTFOUND;
    if (first->bytes)
        status = read_family(host, first);
    if (second->bytes && status != ND_UNAVAIL) {
        enum nd_status status2 = read_family(host, second);
        if (status != ND_SUCCESS && status2 != ND_NOTFOUND)
            status = status2;
    }
    host->status = status;
}

/* The owner of each CNAME is an alias; the owner of the first address is the canonical name. */
void nd_old_answer_one(struct nd_host *host, const struct nd_dns_message *m, int family) {
    unsigned type = family == AF_INET ? ND_TYPE_A : ND_TYPE_AAAA;
    uint8_t expected[ND_WIRE_NAME_MAX];
    struct nd_dns_reader reader;
    struct nd_dns_record record;
    char text[TEXT_MAX];
    if (!read_question(host, m, &reader, expected, true))
        return;
    while (next_record(host, &reader, &record, true)) {
        if (record.type == ND_TYPE_CNAME) {
            if (!read_target(host, &reader, &record, expected, true))
                break;
            if (nd_name_to_text(record.owner, text, sizeof text) >= 0)
                nd_host_add_name(host, text, strlen(text));
        } else if (record.type == type && nd_name_equal(record.owner, expected)) {
            if (record.size != address_size(type)) {
                if (nd_libc_stops_at_wrong_size())
                    break;
                continue;
            }
            if (host->count == 0)
                set_canonical(host, record.owner);
            nd_host_add_address(host, family, m->bytes + record.at);
        }
    }
    if (host->count)
        set_status(host, ND_SUCCESS, 0, ENOENT);
    else
        set_status(host, host->name_count ? ND_NOTFOUND : ND_TRYAGAIN, NO_RECOVERY, ENOENT);
}

void nd_old_answer_ptr(struct nd_host *host, const struct nd_dns_message *m) {
    uint8_t expected[ND_WIRE_NAME_MAX], name[ND_WIRE_NAME_MAX];
    struct nd_dns_reader reader;
    struct nd_dns_record record;
    if (!read_question(host, m, &reader, expected, false))
        return;
    while (next_record(host, &reader, &record, false)) {
        if (record.type == ND_TYPE_CNAME) {
            if (!read_target(host, &reader, &record, expected, false))
                break;
        } else if (record.type == ND_TYPE_PTR && nd_name_equal(record.owner, expected)) {
            if (!read_target(host, &reader, &record, name, true))
                break;
            set_canonical(host, name);
            set_status(host, ND_SUCCESS, 0, 0);
            return;
        }
    }
    set_status(host, ND_TRYAGAIN, NO_RECOVERY, ENOENT);
}
