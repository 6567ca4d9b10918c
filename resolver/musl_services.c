#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/musl.h"
#include "resolver/musl_lines.h"

static int add_port(struct nd_musl_service found[ND_MUSL_SERVICES], int count, unsigned long port, int protocol) {
    found[count].port = (unsigned short)port;
    found[count].protocol = (unsigned char)protocol;
    found[count].socktype = protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
    return count + 1;
}

/* Whether a line has the service as a name or alias of its own; the port counts as a word, too. */
static bool has_service(const char *line, const char *name, size_t length) {
    for (const char *at = line; (at = strstr(at, name)) != NULL; at++)
        if ((at == line || nd_musl_is_space(at[-1])) && (!at[length] || nd_musl_is_space(at[length])))
            return true;
    return false;
}

static int from_file(struct nd_musl_service found[ND_MUSL_SERVICES], const char *name, int protocol) {
    struct nd_musl_lines lines;
    char line[128];
    const size_t length = strlen(name);
    int count = 0;
    const int error = nd_musl_lines_open(&lines, "/etc/services");
    if (error) {
        errno = error;
        return error == ENOENT ? EAI_SERVICE : EAI_SYSTEM;
    }
    while (count < ND_MUSL_SERVICES && nd_musl_lines_next(&lines, line, sizeof line)) {
        nd_musl_lines_cut_comment(line);
        if (!has_service(line, name, length))
            continue;
        char *digits = nd_musl_word_end(line), *end;
        const unsigned long port = strtoul(digits, &end, 10);
        if (port > 65535 || end == digits)
            continue;
        if (strncmp(end, "/udp", 4) == 0 && protocol != IPPROTO_TCP)
            count = add_port(found, count, port, IPPROTO_UDP);
        else if (strncmp(end, "/tcp", 4) == 0 && protocol != IPPROTO_UDP)
            count = add_port(found, count, port, IPPROTO_TCP);
    }
    nd_musl_lines_close(&lines);
    return count > 0 ? count : EAI_SERVICE;
}

/* Sets the protocol of a socket type. False: they do not go together. */
static bool set_protocol(int socktype, int *protocol) {
    const int own = socktype == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
    if (socktype == 0)
        return true;
    if (*protocol != 0 && *protocol != own)
        return false;
    *protocol = own;
    return true;
}

int nd_musl_services(struct nd_musl_service found[ND_MUSL_SERVICES], const char *name, int protocol, int socktype,
                     int flags) {
    if (socktype != 0 && socktype != SOCK_STREAM && socktype != SOCK_DGRAM) {
        if (name)
            return EAI_SERVICE;
        found[0] = (struct nd_musl_service){.protocol = (unsigned char)protocol, .socktype = (unsigned char)socktype};
        return 1;
    }
    if (!set_protocol(socktype, &protocol) || (name && !*name))
        return EAI_SERVICE;
    char *end = NULL;
    const unsigned long port = name ? strtoul(name, &end, 10) : 0;
    if (name && *end)
        return flags & AI_NUMERICSERV ? EAI_NONAME : from_file(found, name, protocol);
    if (port > 65535)
        return EAI_SERVICE;
    int count = 0;
    if (protocol != IPPROTO_UDP)
        count = add_port(found, count, port, IPPROTO_TCP);
    if (protocol != IPPROTO_TCP)
        count = add_port(found, count, port, IPPROTO_UDP);
    return count;
}

void nd_musl_service_of(char name[ND_MUSL_NAME], int port, bool datagram) {
    struct nd_musl_lines lines;
    char line[128];
    *name = '\0';
    if (nd_musl_lines_open(&lines, "/etc/services") != 0)
        return;
    while (!*name && nd_musl_lines_next(&lines, line, sizeof line)) {
        nd_musl_lines_cut_comment(line);
        char *word_end = nd_musl_word_end(line), *end;
        if (!*word_end)
            continue;
        *word_end = '\0';
        const unsigned long number = strtoul(word_end + 1, &end, 10);
        if (number == (unsigned long)port && end != word_end + 1 && word_end - line <= 31 &&
            strncmp(end, datagram ? "/udp" : "/tcp", 4) == 0)
            memcpy(name, line, (size_t)(word_end - line) + 1);
    }
    nd_musl_lines_close(&lines);
}
