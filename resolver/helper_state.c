#include "resolver/helper_state.h"

#include <resolv.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/libc_version.h"
#include "resolver/res_state.h"

struct nd_own_state {
    const struct __res_state *original; /* the address alone: by it the thread is known */
    bool only_options;
    struct __res_state state;
    char *domains[MAXDNSRCH];
};

static bool copy_domains(struct nd_own_state *copy) {
    for (int i = 0; i < MAXDNSRCH && copy->state.dnsrch[i]; i++) {
        copy->domains[i] = strdup(copy->state.dnsrch[i]);
        if (!copy->domains[i])
            return false;
        copy->state.dnsrch[i] = copy->domains[i];
    }
    return true;
}

/* libc frees those of a thread that ends. */
static bool copy_servers(struct __res_state *state) {
    bool good = true;
    for (int i = 0; i < MAXNS; i++) {
        const struct sockaddr_in6 *from = state->_u._ext.nsaddrs[i];
        state->_u._ext.nssocks[i] = -1;
        state->_u._ext.nsaddrs[i] = from ? malloc(sizeof *from) : NULL;
        if (state->_u._ext.nsaddrs[i])
            *state->_u._ext.nsaddrs[i] = *from;
        good &= !from || state->_u._ext.nsaddrs[i];
    }
    return good;
}

/* Since 2.26 libc keeps the number of a configuration behind the servers, which it counts the states of. Before that it
 * is the time at which the state was set up. */
static void forget_configuration(struct __res_state *state) {
    char *end = (char *)(state->_u._ext.nsaddrs + MAXNS);
    if (!nd_libc_before(26))
        memset(end, 0, sizeof state->_u - (size_t)(end - (char *)&state->_u));
}

bool nd_own_state_copy(struct nd_own_state **to) {
    enum nd_state_of of = nd_state_of_thread();
    *to = NULL;
    if (of == ND_STATE_OF_FILE)
        return true;
    struct nd_own_state *copy = calloc(1, sizeof *copy);
    if (!copy)
        return false;
    copy->original = &_res;
    copy->only_options = of == ND_STATE_OPTIONS_OF_PROGRAM;
    copy->state = _res;
    copy->state.options &= ~(unsigned long)RES_STAYOPEN;
    copy->state._vcsock = -1;
    copy->state._flags = 0;
    forget_configuration(&copy->state);
    bool good = copy_servers(&copy->state);
    if (!copy_domains(copy) || !good) {
        nd_own_state_free(copy);
        return false;
    }
    *to = copy;
    return true;
}

void nd_own_state_free(struct nd_own_state *copy) {
    if (!copy)
        return;
    for (int i = 0; i < MAXNS; i++)
        free(copy->state._u._ext.nsaddrs[i]);
    for (int i = 0; i < MAXDNSRCH; i++)
        free(copy->domains[i]);
    free(copy);
}

void nd_own_state_enter(struct nd_own_state *copy) {
    if (!copy || copy->original == &_res)
        return;
    if (!copy->only_options || !nd_state_set_up()) {
        _res = copy->state;
        memset(copy->state._u._ext.nsaddrs, 0, sizeof copy->state._u._ext.nsaddrs); /* they are this thread's now */
        return;
    }
    _res.options = copy->state.options;
    _res.retrans = copy->state.retrans;
    _res.retry = copy->state.retry;
    _res.ndots = copy->state.ndots;
}

void nd_own_state_leave(struct nd_own_state *copy) {
    if (!copy || copy->original == &_res)
        return;
    _res.options = 0; /* the thread ends; its domains are the copy's */
    memset(_res.dnsrch, 0, sizeof _res.dnsrch);
}
