/* /etc/gai.conf: changes the order of addresses. Only the built-in order is ours. */
#ifndef ND_RESOLVER_GAI_CONF_H
#define ND_RESOLVER_GAI_CONF_H

/* NULL when the file says nothing, else why only libc can answer. */
const char *nd_gai_conf(void);

#endif
