/* res_query, res_search, res_querydomain, res_send and their res_n forms: raw questions under RESOLVE. Where libc has to be
 * asked (hooks in the program's own state, unusual options), it is asked as it is. */
#include "resolver/res.h"

#include "shim/hook.h"
#include "shim/names.h"
#include "shim/start.h"

/* One hook: ours where lookups are bounded; libc's where not, or where ours leaves it to libc. */
#define RES_HOOK(function, name, ours, real)                                                                           \
    if (nd_names_bounded()) {                                                                                          \
        struct nd_slot_use use;                                                                                        \
        struct nd_lookup lookup = nd_names_begin(&use, ND_OPERATION_##function, name);                                 \
        int length = ours;                                                                                             \
        nd_names_end(&use, name, &lookup);                                                                             \
        if (!lookup.libc_why)                                                                                          \
            return length;                                                                                             \
    }                                                                                                                  \
    ND_NAMES_LIBC(int, ND_OPERATION_##function, name, real)

int nd_hook_res_query(const char *name, int dns_class, int type, unsigned char *answer, int size) {
    RES_HOOK(res_query, name, nd_res_query(NULL, name, dns_class, type, answer, size, &lookup),
             nd_real.res_query(name, dns_class, type, answer, size));
}
ND_ALIAS_OF(__res_query, res_query);

int nd_hook_res_nquery(struct __res_state *state, const char *name, int dns_class, int type, unsigned char *answer,
                       int size) {
    RES_HOOK(res_nquery, name, nd_res_query(state, name, dns_class, type, answer, size, &lookup),
             nd_real.res_nquery(state, name, dns_class, type, answer, size));
}
ND_ALIAS_OF(__res_nquery, res_nquery);

int nd_hook_res_search(const char *name, int dns_class, int type, unsigned char *answer, int size) {
    RES_HOOK(res_search, name, nd_res_search(NULL, name, dns_class, type, answer, size, &lookup),
             nd_real.res_search(name, dns_class, type, answer, size));
}
ND_ALIAS_OF(__res_search, res_search);

int nd_hook_res_nsearch(struct __res_state *state, const char *name, int dns_class, int type, unsigned char *answer,
                        int size) {
    RES_HOOK(res_nsearch, name, nd_res_search(state, name, dns_class, type, answer, size, &lookup),
             nd_real.res_nsearch(state, name, dns_class, type, answer, size));
}
ND_ALIAS_OF(__res_nsearch, res_nsearch);

int nd_hook_res_querydomain(const char *name, const char *domain, int dns_class, int type, unsigned char *answer,
                            int size) {
    RES_HOOK(res_querydomain, name, nd_res_querydomain(NULL, name, domain, dns_class, type, answer, size, &lookup),
             nd_real.res_querydomain(name, domain, dns_class, type, answer, size));
}
ND_ALIAS_OF(__res_querydomain, res_querydomain);

int nd_hook_res_nquerydomain(struct __res_state *state, const char *name, const char *domain, int dns_class, int type,
                             unsigned char *answer, int size) {
    RES_HOOK(res_nquerydomain, name, nd_res_querydomain(state, name, domain, dns_class, type, answer, size, &lookup),
             nd_real.res_nquerydomain(state, name, domain, dns_class, type, answer, size));
}
ND_ALIAS_OF(__res_nquerydomain, res_nquerydomain);

int nd_hook_res_send(const unsigned char *query, int query_size, unsigned char *answer, int size) {
    RES_HOOK(res_send, NULL, nd_res_send(NULL, query, query_size, answer, size, &lookup),
             nd_real.res_send(query, query_size, answer, size));
}
ND_ALIAS_OF(__res_send, res_send);

int nd_hook_res_nsend(struct __res_state *state, const unsigned char *query, int query_size, unsigned char *answer,
                      int size) {
    RES_HOOK(res_nsend, NULL, nd_res_send(state, query, query_size, answer, size, &lookup),
             nd_real.res_nsend(state, query, query_size, answer, size));
}
ND_ALIAS_OF(__res_nsend, res_nsend);
