#include "resolver/helper_res.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/helper.h"

/* A call with copies of all that it uses: the caller may leave before it ends. No other call joins it. */
struct job {
    struct nd_job job;
    char key[1 + sizeof(void *)];
    struct nd_res_real real;
    struct nd_res_call call; /* its pointers refer to the members below */
    struct __res_state state;
    struct sockaddr_in6 servers[MAXNS];
    int code, error;
    char *name, *domain;
    unsigned char *query, *answer;
};

static void free_job(struct nd_job *base) {
    struct job *j = (struct job *)base;
    free(j->name);
    free(j->domain);
    free(j->query);
    free(j->answer);
    free(j);
}

static int call_with_state(const struct nd_res_real *real, const struct nd_res_call *c) {
    switch (c->operation) {
    case ND_RES_QUERY:
        return real->nquery(c->state, c->name, c->dns_class, c->type, c->answer, c->size);
    case ND_RES_SEARCH:
        return real->nsearch(c->state, c->name, c->dns_class, c->type, c->answer, c->size);
    case ND_RES_QUERYDOMAIN:
        return real->nquerydomain(c->state, c->name, c->domain, c->dns_class, c->type, c->answer, c->size);
    default:
        return real->nsend(c->state, c->query, c->query_size, c->answer, c->size);
    }
}

static int call_without_state(const struct nd_res_real *real, const struct nd_res_call *c) {
    switch (c->operation) {
    case ND_RES_QUERY:
        return real->query(c->name, c->dns_class, c->type, c->answer, c->size);
    case ND_RES_SEARCH:
        return real->search(c->name, c->dns_class, c->type, c->answer, c->size);
    case ND_RES_QUERYDOMAIN:
        return real->querydomain(c->name, c->domain, c->dns_class, c->type, c->answer, c->size);
    default:
        return real->send(c->query, c->query_size, c->answer, c->size);
    }
}

static void run(struct nd_job *base) {
    struct job *j = (struct job *)base;
    j->code = j->call.state ? call_with_state(&j->real, &j->call) : call_without_state(&j->real, &j->call);
    j->error = errno;
}

/* Copies the state, without its sockets, which stay the caller's, and with copies of the IPv6 servers. The search list
 * lies in the state, where libc looks for it before it takes the domains that have no room there. */
static void copy_state(struct job *j, const struct __res_state *from) {
    j->state = *from;
    j->state.options &= ~(unsigned long)RES_STAYOPEN;
    j->state._vcsock = -1;
    j->state._flags = 0;
    for (int i = 0; i <= MAXDNSRCH && from->dnsrch[i]; i++) {
        uintptr_t at = (uintptr_t)from->dnsrch[i] - (uintptr_t)from->defdname;
        if (at < sizeof from->defdname)
            j->state.dnsrch[i] = j->state.defdname + at;
    }
    for (int i = 0; i < MAXNS; i++) {
        const struct sockaddr_in6 *server = from->_u._ext.nsaddrs[i];
        j->state._u._ext.nssocks[i] = -1;
        j->state._u._ext.nsaddrs[i] = server ? &j->servers[i] : NULL;
        if (server)
            j->servers[i] = *server;
    }
    j->call.state = &j->state;
}

static bool copy_text(char **to, const char *from) {
    *to = from ? strdup(from) : NULL;
    return !from || *to;
}

static bool copy_bytes(unsigned char **to, const unsigned char *from, int size) {
    *to = size > 0 ? malloc((size_t)size) : NULL;
    if (*to)
        memcpy(*to, from, (size_t)size);
    return size <= 0 || *to;
}

static struct job *new_job(const struct nd_res_real *real, const struct nd_res_call *call) {
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->job = (struct nd_job){.run = run, .free = free_job, .key = j->key, .key_size = sizeof j->key};
    j->key[0] = 's';
    memcpy(j->key + 1, &(void *){j}, sizeof(void *));
    j->real = *real;
    j->call = *call;
    if (!copy_text(&j->name, call->name) || !copy_text(&j->domain, call->domain) ||
        !copy_bytes(&j->query, call->query, call->query_size) || !copy_bytes(&j->answer, call->answer, call->size)) {
        free_job(&j->job);
        return NULL;
    }
    j->call.name = j->name;
    j->call.domain = j->domain;
    j->call.query = j->query;
    j->call.answer = j->answer;
    if (call->state)
        copy_state(j, call->state);
    else if (_res.options & RES_INIT)
        copy_state(j, &_res);
    return j;
}

static int fail(const struct nd_res_call *call, int error, int h_err) {
    (call->state ? call->state : &_res)->res_h_errno = h_err;
    h_errno = h_err;
    errno = error;
    return -1;
}

int nd_helper_res(const struct nd_res_real *real, const struct nd_res_call *call, struct nd_lookup *lookup) {
    struct job *j = new_job(real, call);
    if (!j)
        return fail(call, ENOMEM, NETDB_INTERNAL);
    j = (struct job *)nd_job_run(&j->job, lookup);
    if (!j)
        return fail(call, ETIMEDOUT, TRY_AGAIN);
    int code = j->code;
    if (j->call.state)
        (call->state ? call->state : &_res)->res_h_errno = j->state.res_h_errno;
    if (call->size > 0) /* libc stores an error answer there, too */
        memcpy(call->answer, j->answer, (size_t)call->size);
    if (code < 0)
        fail(call, j->error, h_errno);
    nd_job_put(&j->job);
    return code;
}
