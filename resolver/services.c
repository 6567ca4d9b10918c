#include "resolver/services.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/words.h"
#include "resolver/file_cache.h"

static struct nd_file services_file = {.path = "/etc/services"};

struct service {
    struct nd_word name, protocol, aliases;
    int port;
};

/* "name port/protocol aliases": false for anything else. */
static bool parse_line(struct nd_word line, struct service *service) {
    struct nd_word port;
    nd_cut_at(&line, '#');
    if (!nd_next_word(&line, &service->name) || !nd_next_word(&line, &port))
        return false;
    uint32_t number = 0;
    size_t digits = 0;
    while (digits < port.size && port.at[digits] >= '0' && port.at[digits] <= '9')
        number = number * 10 + (uint32_t)(port.at[digits++] - '0');
    if (digits == 0 || digits == port.size || port.at[digits] != '/')
        return false;
    while (digits < port.size && port.at[digits] == '/')
        digits++;
    service->port = (int)(number & 0xffff);
    service->protocol = (struct nd_word){port.at + digits, port.size - digits};
    service->aliases = line;
    return true;
}

static bool has_name(const struct service *service, const char *name) {
    struct nd_word aliases = service->aliases, alias;
    if (nd_word_is(service->name, name))
        return true;
    while (nd_next_word(&aliases, &alias))
        if (nd_word_is(alias, name))
            return true;
    return false;
}

int nd_service_port(const char *name, const char *protocol) {
    struct nd_snapshot *s = nd_file_get(&services_file);
    int port = -1;
    if (s) {
        struct nd_word text = {s->text, s->size}, line;
        struct service service;
        while (port < 0 && nd_next_line(&text, &line))
            if (parse_line(line, &service) && nd_word_is(service.protocol, protocol) && has_name(&service, name))
                port = service.port;
    }
    nd_file_put(s);
    return port;
}

int nd_service_name(char *name, size_t size, int port, const char *protocol) {
    struct nd_snapshot *s = nd_file_get(&services_file);
    int result = -1;
    if (s) {
        struct nd_word text = {s->text, s->size}, line;
        struct service service;
        while (result == -1 && nd_next_line(&text, &line)) {
            if (!parse_line(line, &service) || service.port != port || !nd_word_is(service.protocol, protocol))
                continue;
            result = service.name.size < size ? 0 : -2;
            if (result == 0) {
                memcpy(name, service.name.at, service.name.size);
                name[service.name.size] = '\0';
            }
        }
    }
    nd_file_put(s);
    return result;
}
