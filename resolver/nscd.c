#include "resolver/nscd.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "resolver/nsswitch.h"
#include "resolver/own_sockets.h"
#include "resolver/socket_wait.h"
#include "resolver/unfinished.h"

#define SOCKET_PATH "/var/run/nscd/socket"
#define VERSION 2
#define MAX_ANSWER ((size_t)1 << 20)
#define LONGEST_WAIT (5 * ND_SEC) /* libc's */
#define LOOKUPS_WITHOUT 100       /* so does libc after a failure */

enum request { BY_NAME = 4, BY_NAME_V6 = 5, BY_ADDRESS = 6, BY_ADDRESS_V6 = 7, ADDRESSES = 14 };

/* How the daemon's answers begin. */
struct host_header {
    int32_t version, found, name_size, alias_count, family, address_size, address_count, error;
};

struct addresses_header {
    int32_t version, found, address_count, addresses_size, canonical_size, error;
};

/* An exchange; the rest of its answer is read into `data`. */
struct exchange {
    struct nd_held held; /* by the lookup */
    struct nd_unfinished *unfinished;
    struct nd_own_sockets sockets;
    int fd;
    nd_time deadline;
    char *data;
    size_t size;
};

/* Looked for once, where there is a daemon. libc may have been built without all of this; then it lacks a function that
 * the daemon itself calls. LOCALDOMAIN is not the daemon's. */
static bool libc_would_ask(void) {
    static int known; /* 1: no, 2: yes */
    int decided = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (decided == 0) {
        decided = dlsym(RTLD_DEFAULT, "__nss_disable_nscd") && !getenv("LOCALDOMAIN") ? 2 : 1;
        __atomic_store_n(&known, decided, __ATOMIC_RELAXED);
    }
    return decided == 2;
}

static int lookups_left; /* until the daemon is looked for again */

static bool is_there(void) {
    if (__atomic_load_n(&lookups_left, __ATOMIC_RELAXED) > 0) {
        __atomic_sub_fetch(&lookups_left, 1, __ATOMIC_RELAXED);
        return false;
    }
    if (!nd_nsswitch_is_configured() && access(SOCKET_PATH, F_OK) == 0 && libc_would_ask())
        return true;
    __atomic_store_n(&lookups_left, LOOKUPS_WITHOUT, __ATOMIC_RELAXED);
    return false;
}

static bool wait_for(struct exchange *e, short events) {
    return nd_socket_wait(e->unfinished, &e->sockets, e->fd, events, e->deadline);
}

static bool connect_to_daemon(struct exchange *e) {
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};
    e->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (e->fd < 0)
        return false;
    if (!nd_own_add(&e->sockets, e->fd)) {
        e->fd = -1;
        return false;
    }
    return connect(e->fd, (const struct sockaddr *)&to, sizeof to) == 0; /* EAGAIN: it is too busy */
}

static bool send_request(struct exchange *e, enum request type, const void *key, size_t key_size) {
    int32_t header[3] = {VERSION, (int32_t)type, (int32_t)key_size};
    struct iovec parts[2] = {{header, sizeof header}, {(void *)(uintptr_t)key, key_size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    return nd_own_has(&e->sockets, e->fd) &&
           sendmsg(e->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)(sizeof header + key_size);
}

static bool receive(struct exchange *e, void *to, size_t size) {
    for (size_t got = 0; got < size;) {
        if (!wait_for(e, POLLIN))
            return false;
        ssize_t n = recv(e->fd, (char *)to + got, size - got, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
            return false;
        got += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* Makes room for `size` more bytes, and reads them. */
static bool receive_data(struct exchange *e, size_t size) {
    if (size > MAX_ANSWER || e->size > MAX_ANSWER)
        return false;
    char *bigger = realloc(e->data, e->size + size + 1);
    if (!bigger)
        return false;
    e->data = bigger;
    if (!receive(e, e->data + e->size, size))
        return false;
    e->size += size;
    e->data[e->size] = '\0';
    return true;
}

static bool is_count(int32_t number) {
    return number >= 0 && (size_t)number <= MAX_ANSWER / 16;
}

static bool refuse(struct nd_host *host, int h_err) {
    host->status = ND_NOTFOUND;
    host->h_err = h_err;
    return true;
}

/* Reads the aliases, and adds them when all are there: the lookup may be left by a jump until then. */
static bool take_aliases(struct nd_host *host, struct exchange *e, size_t lengths_at, int32_t count) {
    size_t total = 0, at = e->size;
    uint32_t size;
    for (int32_t i = 0; i < count; i++, total += size) {
        memcpy(&size, e->data + lengths_at + (size_t)i * sizeof size, sizeof size);
        if (size == 0 || size > MAX_ANSWER || total > MAX_ANSWER)
            return false;
    }
    if (!receive_data(e, total))
        return false;
    for (int32_t i = 0; i < count; i++, at += size) {
        memcpy(&size, e->data + lengths_at + (size_t)i * sizeof size, sizeof size);
        nd_host_add_name(host, e->data + at, strnlen(e->data + at, size));
    }
    return true;
}

static bool read_host(struct nd_host *host, struct exchange *e, bool v6) {
    struct host_header h;
    if (!receive(e, &h, sizeof h) || h.version != VERSION || h.found == -1)
        return false;
    if (h.found != 1)
        return refuse(host, h.error);
    if (!is_count(h.name_size) || h.name_size == 0 || !is_count(h.alias_count) || !is_count(h.address_count))
        return false;
    size_t name = (size_t)h.name_size, lengths = (size_t)h.alias_count * sizeof(uint32_t);
    size_t v4_addresses = v6 && h.address_size != 4 ? 0 : (size_t)h.address_count * 4;
    size_t addresses = v6 ? (size_t)h.address_count * 16 : 0; /* behind those as IPv4, where it has both */
    if (!receive_data(e, name + lengths + v4_addresses + addresses))
        return false;
    if (!take_aliases(host, e, name, h.alias_count) || h.address_count == 0)
        return false;
    nd_host_set_canonical(host, e->data, strnlen(e->data, name));
    const char *bytes = e->data + name + lengths + (v6 ? v4_addresses : 0);
    for (int32_t i = 0; i < h.address_count; i++, bytes += v6 ? 16 : 4)
        nd_host_add_address(host, v6 ? AF_INET6 : AF_INET, bytes);
    host->status = ND_SUCCESS;
    host->h_err = 0;
    return true;
}

static bool read_addresses(struct nd_host *host, struct exchange *e) {
    struct addresses_header h;
    if (!receive(e, &h, sizeof h) || h.version != VERSION || h.found == -1)
        return false;
    if (h.found != 1)
        return refuse(host, HOST_NOT_FOUND); /* whatever the reason, for getaddrinfo */
    if (!is_count(h.address_count) || !is_count(h.addresses_size) || !is_count(h.canonical_size))
        return false;
    size_t count = (size_t)h.address_count, bytes = (size_t)h.addresses_size, used = 0;
    if (!receive_data(e, bytes + count + (size_t)h.canonical_size))
        return false;
    for (size_t i = 0; i < count; i++) {
        int family = (unsigned char)e->data[bytes + i];
        size_t size = family == AF_INET ? 4 : 16;
        if ((family != AF_INET && family != AF_INET6) || bytes - used < size)
            return false;
        nd_host_add_address(host, family, e->data + used);
        used += size;
    }
    if (h.canonical_size > 0)
        nd_host_set_canonical(host, e->data + bytes + count, strlen(e->data + bytes + count));
    host->status = ND_SUCCESS;
    host->h_err = 0;
    return true;
}

/* Never longer than a name server would be waited for. */
static nd_time wait_until(struct nd_lookup *lookup) {
    nd_time deadline = nd_lookup_deadline(lookup), now = nd_now();
    nd_time third = deadline == ND_NEVER || deadline - now > 3 * LONGEST_WAIT ? LONGEST_WAIT : (deadline - now) / 3;
    return nd_time_after(now, third > 0 ? third : 0);
}

static void close_exchange(struct exchange *e) {
    if (e->fd >= 0)
        nd_own_close(&e->sockets, e->fd);
    e->fd = -1;
}

static void free_exchange(struct exchange *e) {
    close_exchange(e);
    free(e->data);
    free(e);
}

static void release(struct nd_held *held) {
    free_exchange((struct exchange *)held);
}

static bool make_exchange(struct nd_host *host, struct exchange *e, enum request type, const void *key,
                          size_t key_size) {
    if (!connect_to_daemon(e) || !send_request(e, type, key, key_size))
        return false;
    bool answered =
        type == ADDRESSES ? read_addresses(host, e) : read_host(host, e, type == BY_NAME_V6 || type == BY_ADDRESS_V6);
    return answered && !host->no_memory;
}

static bool ask(struct nd_host *host, enum request type, const void *key, size_t key_size, struct nd_lookup *lookup) {
    int saved = errno;
    bool answered = false;
    struct exchange *e = is_there() ? malloc(sizeof *e) : NULL;
    if (e) {
        *e = (struct exchange){.held = {.release = release}, .fd = -1, .deadline = wait_until(lookup)};
        e->unfinished = nd_unfinished_begin(lookup);
        nd_hold(&e->held);
        answered = make_exchange(host, e, type, key, key_size);
        nd_drop(&e->held);
        nd_unfinished_end(e->unfinished);
        free_exchange(e);
        if (!answered) {
            nd_host_free(host);
            __atomic_store_n(&lookups_left, LOOKUPS_WITHOUT, __ATOMIC_RELAXED);
        }
    }
    errno = saved;
    return answered;
}

bool nd_nscd_name(struct nd_host *host, const char *name, int family, struct nd_lookup *lookup) {
    return ask(host, family == AF_INET6 ? BY_NAME_V6 : BY_NAME, name, strlen(name) + 1, lookup);
}

bool nd_nscd_addresses(struct nd_host *host, const char *name, struct nd_lookup *lookup) {
    return ask(host, ADDRESSES, name, strlen(name) + 1, lookup);
}

bool nd_nscd_address(struct nd_host *host, const void *address, int family, struct nd_lookup *lookup) {
    return family == AF_INET6 ? ask(host, BY_ADDRESS_V6, address, 16, lookup)
                              : ask(host, BY_ADDRESS, address, 4, lookup);
}
