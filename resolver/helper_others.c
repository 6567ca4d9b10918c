#include "resolver/helper_others.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/helper.h"
#include "resolver/helper_state.h"

enum { LONGEST_ADDRESS = 128 };

struct call {
    struct nd_job job;
    struct call *self; /* the key: no other call has it */
    struct nd_own_state *state;
    /* copies of the arguments */
    nd_getaddrinfo_fn *getaddrinfo;
    void (*release)(struct addrinfo *);
    struct nd_host_call of_host;
    char *node, *service;
    struct addrinfo hints;
    bool has_hints;
    unsigned char address[LONGEST_ADDRESS];
    /* results */
    int code, error;
    struct addrinfo *list; /* NULL after the caller has taken it */
    struct nd_host host;
};

static void free_call(struct nd_job *job) {
    struct call *c = (struct call *)job;
    if (c->list && c->release)
        c->release(c->list);
    nd_host_free(&c->host);
    nd_own_state_free(c->state);
    free(c->node);
    free(c->service);
    free(c);
}

/* NULL: out of memory. */
static struct call *new_call(void (*run)(struct nd_job *), const char *node, const char *service) {
    struct call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->self = c;
    c->job = (struct nd_job){.run = run, .free = free_call, .key = (char *)&c->self, .key_size = sizeof(void *)};
    nd_host_init(&c->host);
    c->node = node ? strdup(node) : NULL;
    c->service = service ? strdup(service) : NULL;
    if ((node && !c->node) || (service && !c->service) || !nd_own_state_copy(&c->state)) {
        free_call(&c->job);
        return NULL;
    }
    return c;
}

static void run_getaddrinfo(struct nd_job *job) {
    struct call *c = (struct call *)job;
    nd_own_state_enter(c->state);
    c->code = c->getaddrinfo(c->node, c->service, c->has_hints ? &c->hints : NULL, &c->list);
    c->error = errno;
    nd_own_state_leave(c->state);
    if (c->code != 0)
        c->list = NULL;
}

int nd_others_getaddrinfo(nd_getaddrinfo_fn *function, void (*release)(struct addrinfo *), const char *node,
                          const char *service, const struct addrinfo *hints, struct addrinfo **res,
                          struct nd_lookup *lookup) {
    struct call *c = new_call(run_getaddrinfo, node, service);
    if (!c)
        return EAI_MEMORY;
    c->getaddrinfo = function;
    c->release = release;
    if (hints) {
        c->has_hints = true;
        c->hints = *hints;
    }
    c = (struct call *)nd_job_run(&c->job, lookup);
    if (!c)
        return EAI_AGAIN;
    int code = c->code, error = c->error;
    if (code == 0)
        *res = c->list;
    c->list = NULL;
    nd_job_put(&c->job);
    if (code == EAI_SYSTEM)
        errno = error;
    return code;
}

/* Wrappers leave out what they do not know: a name, the list of aliases. */
static void store(struct nd_host *host, const struct hostent *h) {
    if (h->h_name)
        nd_host_set_canonical(host, h->h_name, strlen(h->h_name));
    for (char **a = h->h_addr_list; a && *a; a++)
        nd_host_add_address(host, h->h_addrtype, *a);
    for (char **name = h->h_aliases; name && *name; name++)
        nd_host_add_name(host, *name, strlen(*name));
    host->status = host->no_memory ? ND_UNAVAIL : ND_SUCCESS;
    host->h_err = host->no_memory ? NETDB_INTERNAL : 0;
    host->sys_err = ENOMEM;
}

static struct hostent *call_static(const struct nd_host_call *call, int *h_err) {
    struct hostent *found;
    if (call->gethostbyname)
        found = call->gethostbyname(call->name);
    else if (call->gethostbyname2)
        found = call->gethostbyname2(call->name, call->family);
    else
        found = call->gethostbyaddr(call->address, call->length, call->family);
    *h_err = h_errno;
    return found;
}

static int call_with_buffer(const struct nd_host_call *call, struct hostent *entry, char *buffer, size_t size,
                            struct hostent **found, int *h_err) {
    if (call->gethostbyname_r)
        return call->gethostbyname_r(call->name, entry, buffer, size, found, h_err);
    if (call->gethostbyname2_r)
        return call->gethostbyname2_r(call->name, call->family, entry, buffer, size, found, h_err);
    return call->gethostbyaddr_r(call->address, call->length, call->family, entry, buffer, size, found, h_err);
}

static void run_static(struct call *c) {
    int h_err = 0;
    const struct hostent *found = call_static(&c->of_host, &h_err);
    c->host.status = ND_NOTFOUND;
    c->host.h_err = h_err;
    c->host.sys_err = errno;
    if (found)
        store(&c->host, found);
}

static void run_with_buffer(struct call *c) {
    struct hostent entry, *found = NULL;
    int h_err = NETDB_INTERNAL, code = ENOMEM;
    char *buffer = NULL;
    for (size_t size = 2048; size <= 1 << 20; size *= 2) {
        char *bigger = realloc(buffer, size);
        if (!bigger)
            break;
        buffer = bigger;
        code = call_with_buffer(&c->of_host, &entry, buffer, size, &found, &h_err);
        if (code != ERANGE)
            break;
    }
    c->host.status = code == 0 ? ND_NOTFOUND : ND_UNAVAIL;
    c->host.h_err = h_err;
    c->host.sys_err = code;
    if (code == 0 && found)
        store(&c->host, found);
    free(buffer);
}

static void run_host(struct nd_job *job) {
    struct call *c = (struct call *)job;
    bool is_static = c->of_host.gethostbyname || c->of_host.gethostbyname2 || c->of_host.gethostbyaddr;
    nd_own_state_enter(c->state);
    (is_static ? run_static : run_with_buffer)(c);
    nd_own_state_leave(c->state);
}

/* Returns the finished call; NULL at the deadline, or without memory: then `none` is the result. */
static struct call *find_host(const struct nd_host_call *call, struct nd_host *none, struct nd_lookup *lookup) {
    struct call *c = call->length <= LONGEST_ADDRESS ? new_call(run_host, call->name, NULL) : NULL;
    if (c) {
        c->of_host = *call;
        c->of_host.name = c->node;
        c->of_host.address = c->address;
        if (call->address)
            memcpy(c->address, call->address, call->length);
        c = (struct call *)nd_job_run(&c->job, lookup);
    }
    nd_host_init(none);
    none->status = ND_UNAVAIL;
    none->h_err = lookup->expired ? TRY_AGAIN : NETDB_INTERNAL;
    none->sys_err = lookup->expired ? EAGAIN : ENOMEM;
    return c;
}

int nd_others_host_r(const struct nd_host_call *call, struct hostent *entry, char *buffer, size_t size,
                     struct hostent **result, int *h_err, struct nd_lookup *lookup) {
    struct nd_host none;
    struct call *c = find_host(call, &none, lookup);
    int code = nd_finish_hostent(c ? &c->host : &none, call->family, entry, buffer, size, result, h_err);
    if (c)
        nd_job_put(&c->job);
    errno = code;
    return code;
}

struct hostent *nd_others_host(struct nd_static_hostent *storage, const struct nd_host_call *call,
                               struct nd_lookup *lookup) {
    struct nd_host none;
    struct call *c = find_host(call, &none, lookup);
    struct hostent *result = nd_finish_static(storage, c ? &c->host : &none, call->family);
    if (c)
        nd_job_put(&c->job);
    return result;
}
