/* /etc/gai.conf changes the order of addresses. Only the default order is implemented here. */
#ifndef ND_RESOLVER_GAI_CONF_H
#define ND_RESOLVER_GAI_CONF_H

/* Returns NULL where the file changes nothing, otherwise why only libc can answer. */
const char *nd_gai_conf(void);

#endif
