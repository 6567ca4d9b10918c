#include "resolver/helper_calls.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/addrinfo.h"
#include "resolver/helper.h"
#include "resolver/helper_state.h"
#include "resolver/hostent.h"

/* The key of a call: its kind, then each argument; a string with its NUL, or a mark that it is absent. */
struct packed {
    char *bytes;
    size_t size, capacity;
    bool failed;
};

static void pack(struct packed *p, const void *bytes, size_t size) {
    if (size == 0)
        return;
    if (p->size + size > p->capacity) {
        size_t capacity = (p->size + size) * 2;
        char *bigger = realloc(p->bytes, capacity);
        if (!bigger) {
            p->failed = true;
            return;
        }
        p->bytes = bigger;
        p->capacity = capacity;
    }
    memcpy(p->bytes + p->size, bytes, size);
    p->size += size;
}

static void pack_string(struct packed *p, const char *text) {
    pack(p, text ? "+" : "-", 1);
    if (text)
        pack(p, text, strlen(text) + 1);
}

struct call {
    struct nd_job job;
    char *key;
    void (*make)(struct call *);
    struct nd_own_state *state;
    locale_t locale; /* a copy of the caller's own (uselocale); 0: it has the program's */
    /* copies of the arguments */
    union {
        nd_getaddrinfo_fn *getaddrinfo;
        nd_gethostbyname2_r_fn *gethostbyname2_r;
        nd_gethostbyaddr_r_fn *gethostbyaddr_r;
        nd_getnameinfo_fn *getnameinfo;
    } real;
    char *node, *service; /* NULL where the caller's is NULL */
    struct addrinfo hints;
    bool has_hints;
    int family, flags;
    unsigned char address[128]; /* an address, or a socket address */
    socklen_t length, host_size, service_size;
    /* results */
    int code, error;
    struct addrinfo *list;
    struct nd_host host;
    char *host_name, *service_name;
};

static void free_call(struct nd_job *job) {
    struct call *c = (struct call *)job;
    nd_free_list(c->list);
    nd_host_free(&c->host);
    free(c->host_name);
    free(c->service_name);
    free(c->node);
    free(c->service);
    free(c->key);
    nd_own_state_free(c->state);
    if (c->locale)
        freelocale(c->locale);
    free(c);
}

static void run(struct nd_job *job) {
    struct call *c = (struct call *)job;
    locale_t old = c->locale ? uselocale(c->locale) : (locale_t)0;
    nd_own_state_enter(c->state);
    errno = c->error; /* libc takes what an earlier call has left there for the reason, where a module is missing */
    c->make(c);
    nd_own_state_leave(c->state);
    if (c->locale)
        uselocale(old);
}

/* The call of a thread with a locale of its own, in which a name may be encoded, or with a _res that the program has
 * changed, is joined by no other. NULL: out of memory. */
static struct call *new_call(struct packed *p, void (*make)(struct call *)) {
    locale_t own = uselocale((locale_t)0);
    struct call *c = calloc(1, sizeof *c);
    if (!c || !nd_own_state_copy(&c->state))
        p->failed = true;
    else if (own != LC_GLOBAL_LOCALE || c->state)
        pack(p, &c, sizeof(void *));
    if (p->failed) {
        nd_own_state_free(c ? c->state : NULL);
        free(p->bytes);
        free(c);
        return NULL;
    }
    c->make = make;
    c->error = errno;
    c->key = p->bytes;
    c->locale = own != LC_GLOBAL_LOCALE ? duplocale(own) : (locale_t)0;
    c->job = (struct nd_job){.run = run, .free = free_call, .key = p->bytes, .key_size = p->size};
    nd_host_init(&c->host);
    return c;
}

/* Returns the finished call; NULL at the deadline, or where there was no memory for it. h_errno is left as libc leaves
 * it, also by functions that do not give it. */
static struct call *run_call(struct call *c, struct nd_lookup *lookup) {
    return c ? (struct call *)nd_job_run(&c->job, lookup) : NULL;
}

static bool copy_string(char **to, const char *from) {
    *to = from ? strdup(from) : NULL;
    return !from || *to;
}

static void run_getaddrinfo(struct call *c) {
    c->code = c->real.getaddrinfo(c->node, c->service, c->has_hints ? &c->hints : NULL, &c->list);
    c->error = errno;
    if (c->code != 0)
        c->list = NULL;
}

/* Copies the list, which all joined callers share, for one caller. */
static int copy_list(const struct addrinfo *from, struct addrinfo **res) {
    struct addrinfo *head = NULL, **end = &head;
    for (; from; from = from->ai_next, end = &(*end)->ai_next) {
        struct addrinfo *node = malloc(sizeof *node + from->ai_addrlen);
        *end = node;
        if (!node)
            goto no_memory;
        *node = *from;
        node->ai_next = NULL;
        node->ai_canonname = NULL;
        node->ai_addr = memcpy(node + 1, from->ai_addr, from->ai_addrlen);
        if (from->ai_canonname && !(node->ai_canonname = strdup(from->ai_canonname)))
            goto no_memory;
    }
    *res = head;
    return 0;
no_memory:
    nd_free_list(head);
    return EAI_MEMORY;
}

int nd_helper_getaddrinfo(nd_getaddrinfo_fn *real, const char *node, const char *service, const struct addrinfo *hints,
                          struct addrinfo **res, struct nd_lookup *lookup) {
    struct packed p = {0};
    int h[5] = {hints != NULL};
    if (hints)
        memcpy(h + 1, (int[]){hints->ai_flags, hints->ai_family, hints->ai_socktype, hints->ai_protocol},
               4 * sizeof *h);
    pack(&p, "a", 1);
    pack(&p, h, sizeof h);
    pack_string(&p, node);
    pack_string(&p, service);
    struct call *c = new_call(&p, run_getaddrinfo);
    if (!c || !copy_string(&c->node, node) || !copy_string(&c->service, service)) {
        if (c)
            free_call(&c->job);
        return EAI_MEMORY;
    }
    c->real.getaddrinfo = real;
    c->has_hints = hints != NULL;
    c->hints = (struct addrinfo){h[1], h[2], h[3], h[4], 0, NULL, NULL, NULL};
    c = run_call(c, lookup);
    if (!c)
        return EAI_AGAIN;
    int code = c->code, error = c->error;
    if (code == 0)
        code = copy_list(c->list, res);
    nd_job_put(&c->job);
    if (code == EAI_SYSTEM)
        errno = error;
    return code;
}

enum { NOT_SET = INT_MIN }; /* of what libc leaves alone where it finds something; none of h_errno's values */

/* Stores libc's result in the form from which each caller gets its own copy. */
static void store_hostent(struct call *c, const struct hostent *h, int h_err) {
    nd_host_set_canonical(&c->host, h->h_name, strlen(h->h_name));
    for (char **a = h->h_addr_list; *a; a++)
        nd_host_add_address(&c->host, h->h_addrtype, *a);
    for (char **name = h->h_aliases; *name; name++)
        nd_host_add_name(&c->host, *name, strlen(*name));
    c->family = h->h_addrtype;
    c->host.status = c->host.no_memory ? ND_UNAVAIL : ND_SUCCESS;
    c->host.h_err = c->host.no_memory ? NETDB_INTERNAL : h_err;
    c->host.keeps_h_errno = h_err == NOT_SET && !c->host.no_memory;
    c->host.sys_err = ENOMEM;
}

static int call_hostent(struct call *c, struct hostent *entry, char *buffer, size_t size, struct hostent **result,
                        int *h_err) {
    if (c->node)
        return c->real.gethostbyname2_r(c->node, c->family, entry, buffer, size, result, h_err);
    return c->real.gethostbyaddr_r(c->address, c->length, c->family, entry, buffer, size, result, h_err);
}

static void run_hostent(struct call *c) {
    struct hostent entry, *result = NULL;
    int h_err = NETDB_INTERNAL, code = ENOMEM;
    char *buffer = NULL;
    for (size_t size = 2048; size <= 1 << 24; size *= 2) {
        char *bigger = realloc(buffer, size);
        if (!bigger)
            break;
        buffer = bigger;
        h_err = NOT_SET;
        code = call_hostent(c, &entry, buffer, size, &result, &h_err);
        if (code != ERANGE || h_err != NETDB_INTERNAL)
            break;
    }
    if (code == 0 && result) {
        store_hostent(c, result, h_err);
    } else {
        c->host.status = code == 0 ? ND_NOTFOUND : ND_UNAVAIL;
        c->host.h_err = h_err == NOT_SET ? NETDB_INTERNAL : h_err;
        c->host.sys_err = code;
    }
    free(buffer);
}

static struct call *call_by_name(nd_gethostbyname2_r_fn *real, const char *name, int family) {
    struct packed p = {0};
    pack(&p, "n", 1);
    pack(&p, &family, sizeof family);
    pack_string(&p, name);
    struct call *c = new_call(&p, run_hostent);
    if (c && !copy_string(&c->node, name)) {
        free_call(&c->job);
        return NULL;
    }
    if (c) {
        c->real.gethostbyname2_r = real;
        c->family = family;
    }
    return c;
}

static struct call *call_by_address(nd_gethostbyaddr_r_fn *real, const void *address, socklen_t length, int family) {
    struct packed p = {0};
    pack(&p, "r", 1);
    pack(&p, &family, sizeof family);
    pack(&p, address, length);
    struct call *c = new_call(&p, run_hostent);
    if (c) {
        c->real.gethostbyaddr_r = real;
        c->family = family;
        c->length = length;
        memcpy(c->address, address, length);
    }
    return c;
}

/* The result where there is no finished call: at the deadline, or out of memory. */
static void set_unfinished(struct nd_host *host, const struct nd_lookup *lookup) {
    nd_host_init(host);
    host->status = ND_UNAVAIL;
    host->h_err = lookup->expired ? TRY_AGAIN : NETDB_INTERNAL;
    host->sys_err = lookup->expired ? EAGAIN : ENOMEM;
}

static int finish_r(struct call *c, struct hostent *entry, char *buffer, size_t size, struct hostent **result,
                    int *h_err, const struct nd_lookup *lookup) {
    struct nd_host none;
    set_unfinished(&none, lookup);
    int code = nd_finish_hostent(c ? &c->host : &none, c ? c->family : 0, entry, buffer, size, result, h_err);
    if (c)
        nd_job_put(&c->job);
    errno = code;
    return code;
}

int nd_helper_gethostbyname2_r(nd_gethostbyname2_r_fn *real, const char *name, int family, struct hostent *entry,
                               char *buffer, size_t size, struct hostent **result, int *h_err,
                               struct nd_lookup *lookup) {
    struct call *c = run_call(call_by_name(real, name, family), lookup);
    return finish_r(c, entry, buffer, size, result, h_err, lookup);
}

int nd_helper_gethostbyaddr_r(nd_gethostbyaddr_r_fn *real, const void *address, socklen_t length, int family,
                              struct hostent *entry, char *buffer, size_t size, struct hostent **result, int *h_err,
                              struct nd_lookup *lookup) {
    if (length > sizeof((struct call *)0)->address) /* libc rejects it at once */
        return real(address, length, family, entry, buffer, size, result, h_err);
    struct call *c = run_call(call_by_address(real, address, length, family), lookup);
    return finish_r(c, entry, buffer, size, result, h_err, lookup);
}

static struct hostent *finish_static(struct nd_static_hostent *storage, struct call *c,
                                     const struct nd_lookup *lookup) {
    struct nd_host none;
    set_unfinished(&none, lookup);
    struct hostent *result = nd_finish_static(storage, c ? &c->host : &none, c ? c->family : 0);
    if (c)
        nd_job_put(&c->job);
    return result;
}

struct hostent *nd_helper_gethostbyname2(nd_gethostbyname2_r_fn *real, const char *name, int family,
                                         struct nd_lookup *lookup) {
    static struct nd_static_hostent storage;
    return finish_static(&storage, run_call(call_by_name(real, name, family), lookup), lookup);
}

struct hostent *nd_helper_gethostbyaddr(nd_gethostbyaddr_r_fn *real, const void *address, socklen_t length, int family,
                                        struct nd_lookup *lookup) {
    static struct nd_static_hostent storage;
    if (length > sizeof((struct call *)0)->address) {
        h_errno = NETDB_INTERNAL;
        return NULL;
    }
    return finish_static(&storage, run_call(call_by_address(real, address, length, family), lookup), lookup);
}

static void run_getnameinfo(struct call *c) {
    c->code = c->real.getnameinfo((struct sockaddr *)c->address, c->length, c->host_name, c->host_size, c->service_name,
                                  c->service_size, c->flags);
    c->error = errno;
}

static bool allocate(char **buffer, const char *wanted, socklen_t size) {
    *buffer = wanted ? calloc(1, size ? size : 1) : NULL;
    return !wanted || *buffer;
}

int nd_helper_getnameinfo(nd_getnameinfo_fn *real, const struct sockaddr *address, socklen_t length, char *host,
                          socklen_t host_size, char *service, socklen_t service_size, int flags,
                          struct nd_lookup *lookup) {
    struct packed p = {0};
    struct call *c;
    if (!address || length > sizeof c->address) /* libc rejects it at once */
        return real(address, length, host, host_size, service, service_size, flags);
    pack(&p, "i", 1);
    pack(&p, (unsigned[]){length, host ? host_size : 0, service ? service_size : 0, (unsigned)flags},
         4 * sizeof(unsigned));
    pack(&p, host ? "h" : "-", 1);
    pack(&p, service ? "s" : "-", 1);
    pack(&p, address, length);
    c = new_call(&p, run_getnameinfo);
    if (!c || !allocate(&c->host_name, host, host_size) || !allocate(&c->service_name, service, service_size)) {
        if (c)
            free_call(&c->job);
        return EAI_MEMORY;
    }
    memcpy(c->address, address, length);
    c->real.getnameinfo = real;
    c->length = length;
    c->host_size = host_size;
    c->service_size = service_size;
    c->flags = flags;
    c = run_call(c, lookup);
    if (!c)
        return EAI_AGAIN;
    int code = c->code, error = c->error;
    if (code == 0 && host && host_size)
        memcpy(host, c->host_name, host_size);
    if (code == 0 && service && service_size)
        memcpy(service, c->service_name, service_size);
    nd_job_put(&c->job);
    if (code == EAI_SYSTEM)
        errno = error;
    return code;
}
