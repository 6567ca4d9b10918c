/* Puts each question of standard input to libc and to the resolver, and tells where the answers differ.
 *
 * A line is an operation and its arguments, separated by tabs; "-" stands for NULL, "" for "".
 *   gai NODE SERVICE FAMILY SOCKTYPE PROTOCOL FLAGS      (FAMILY "-": no hints)
 *   name NAME FAMILY | static NAME | addr HEX FAMILY | info ADDRESS PORT FLAGS
 *   query|search NAME CLASS TYPE SIZE | domain NAME DOMAIN CLASS TYPE SIZE
 * Output: "differ", the question, libc's answer, ours; at the end "done", questions, differences, left to libc, c-ares'
 * version. */
#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/gethostby.h"
#include "resolver/res.h"
#include "resolver/resolver.h"

#define MAX_ARGUMENTS 8
#define BUDGET (20 * ND_SEC)

struct text {
    char bytes[1 << 16];
    size_t used;
};

static void say(struct text *t, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int n = vsnprintf(t->bytes + t->used, sizeof t->bytes - t->used, format, list);
    va_end(list);
    if (n > 0)
        t->used += (size_t)n < sizeof t->bytes - t->used ? (size_t)n : 0;
}

static const char *null_or(const char *text) {
    return strcmp(text, "-") == 0 ? NULL : text;
}

/* What functions that do not give h_errno leave in it counts, too: perl shows it after a lookup by gethostbyname_r. */
static void set_errors(int *h_err) {
    h_errno = 77;
    if (h_err)
        *h_err = 78;
}

static void say_h_errno(struct text *t) {
    say(t, " t%d", h_errno);
}

static struct nd_lookup lookup;

static struct nd_lookup *budget(void) {
    lookup = (struct nd_lookup){.deadline = nd_now() + BUDGET};
    return &lookup;
}

static void say_list(struct text *t, int code, struct addrinfo *list) {
    say(t, "%d", code);
    if (code == EAI_SYSTEM)
        say(t, " errno %d", errno);
    for (struct addrinfo *i = code ? NULL : list; i; i = i->ai_next) {
        char a[INET6_ADDRSTRLEN] = "?";
        const struct sockaddr_in *v4 = (struct sockaddr_in *)i->ai_addr;
        const struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)i->ai_addr;
        bool is4 = i->ai_addr->sa_family == AF_INET;
        inet_ntop(i->ai_addr->sa_family, is4 ? (const void *)&v4->sin_addr : &v6->sin6_addr, a, sizeof a);
        say(t, " [%s%%%u %d f%x %d/%d/%d l%d %s]", a, is4 ? 0 : v6->sin6_scope_id, ntohs(v4->sin_port), i->ai_flags,
            i->ai_family, i->ai_socktype, i->ai_protocol, (int)i->ai_addrlen, i->ai_canonname ? i->ai_canonname : "-");
    }
    if (code == 0)
        freeaddrinfo(list);
}

static int hex_bytes(unsigned char *to, const char *hex) {
    int n = 0;
    for (; hex[0] && hex[1] && n < 16; hex += 2, n++)
        sscanf(hex, "%2hhx", &to[n]);
    return n;
}

static void say_hostent(struct text *t, int code, int h_err, const struct hostent *h) {
    say(t, "%d h%d", code, h_err);
    if (!h)
        return;
    say(t, " %s %d/%d", h->h_name, h->h_addrtype, h->h_length);
    for (char **a = h->h_addr_list; *a; a++) {
        char text[INET6_ADDRSTRLEN] = "?";
        inet_ntop(h->h_addrtype, *a, text, sizeof text);
        say(t, " %s", text);
    }
    for (char **alias = h->h_aliases; *alias; alias++)
        say(t, " =%s", *alias);
}

static void say_packet(struct text *t, int code, const unsigned char *packet, int size) {
    say(t, "%d h%d ", code, h_errno);
    for (int i = 2; code > 0 && i < (code < size ? code : size); i++)
        say(t, "%02x", packet[i]);
}

static void ask_gai(char **a, struct text *libc, struct text *ours) {
    struct addrinfo *list = NULL, hints = {0}, *h = NULL;
    if (null_or(a[3])) {
        hints.ai_family = atoi(a[3]);
        hints.ai_socktype = atoi(a[4]);
        hints.ai_protocol = atoi(a[5]);
        hints.ai_flags = atoi(a[6]);
        h = &hints;
    }
    set_errors(NULL);
    int code = getaddrinfo(null_or(a[1]), null_or(a[2]), h, &list);
    say_list(libc, code, list);
    say_h_errno(libc);
    set_errors(NULL);
    code = nd_getaddrinfo(null_or(a[1]), null_or(a[2]), h, &list, budget());
    if (code != ND_LOOKUP_LIBC)
        say_list(ours, code, list);
    say_h_errno(ours);
}

static void ask_name(char **a, struct text *libc, struct text *ours) {
    struct hostent entry, *result = NULL;
    static char buffer[1 << 15];
    int h_err, family = atoi(a[2]);
    set_errors(&h_err);
    int code = gethostbyname2_r(a[1], family, &entry, buffer, sizeof buffer, &result, &h_err);
    say_hostent(libc, code, h_err, result);
    say_h_errno(libc);
    result = NULL;
    set_errors(&h_err);
    code = nd_gethostbyname2_r(a[1], family, &entry, buffer, sizeof buffer, &result, &h_err, budget());
    say_hostent(ours, code, h_err, result);
    say_h_errno(ours);
}

static void ask_static(char **a, struct text *libc, struct text *ours) {
    set_errors(NULL);
    struct hostent *h = gethostbyname(a[1]);
    say_hostent(libc, 0, h_errno, h);
    set_errors(NULL);
    h = nd_gethostbyname(a[1], budget());
    say_hostent(ours, 0, h_errno, h);
}

static void ask_addr(char **a, struct text *libc, struct text *ours) {
    unsigned char address[16];
    struct hostent entry, *result = NULL;
    static char buffer[1 << 15];
    int h_err, family = atoi(a[2]);
    socklen_t length = (socklen_t)hex_bytes(address, a[1]);
    set_errors(&h_err);
    int code = gethostbyaddr_r(address, length, family, &entry, buffer, sizeof buffer, &result, &h_err);
    say_hostent(libc, code, h_err, result);
    say_h_errno(libc);
    result = NULL;
    set_errors(&h_err);
    code = nd_gethostbyaddr_r(address, length, family, &entry, buffer, sizeof buffer, &result, &h_err, budget());
    say_hostent(ours, code, h_err, result);
    say_h_errno(ours);
}

static void ask_info(char **a, struct text *libc, struct text *ours) {
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } s = {0};
    char host[1025] = "", service[32] = "";
    socklen_t length = sizeof s.v4, room = (socklen_t)(a[4] ? atoi(a[4]) : (int)sizeof host);
    if (inet_pton(AF_INET, a[1], &s.v4.sin_addr) > 0) {
        s.v4.sin_family = AF_INET;
    } else {
        inet_pton(AF_INET6, a[1], &s.v6.sin6_addr);
        s.v6.sin6_family = AF_INET6;
        s.v6.sin6_scope_id = IN6_IS_ADDR_LINKLOCAL(&s.v6.sin6_addr) ? 1 : 0;
        length = sizeof s.v6;
    }
    s.v4.sin_port = htons((in_port_t)atoi(a[2]));
    set_errors(NULL);
    int code = getnameinfo(&s.sa, length, host, room, service, sizeof service, atoi(a[3]));
    say(libc, "%d %s %s", code, code ? "" : host, code ? "" : service);
    say_h_errno(libc);
    set_errors(NULL);
    code = nd_getnameinfo(&s.sa, length, host, room, service, sizeof service, atoi(a[3]), budget());
    say(ours, "%d %s %s", code, code ? "" : host, code ? "" : service);
    say_h_errno(ours);
}

static void ask_res(char **a, struct text *libc, struct text *ours) {
    static unsigned char answer[65536];
    bool domain = strcmp(a[0], "domain") == 0, search = strcmp(a[0], "search") == 0;
    char **n = a + 2 + domain;
    int dns_class = atoi(n[0]), type = atoi(n[1]), size = atoi(n[2]);
    set_errors(NULL);
    int code = domain   ? res_querydomain(a[1], a[2], dns_class, type, answer, size)
               : search ? res_search(a[1], dns_class, type, answer, size)
                        : res_query(a[1], dns_class, type, answer, size);
    say_packet(libc, code, answer, size);
    set_errors(NULL);
    struct nd_lookup *l = budget();
    code = domain   ? nd_res_querydomain(NULL, a[1], a[2], dns_class, type, answer, size, l)
           : search ? nd_res_search(NULL, a[1], dns_class, type, answer, size, l)
                    : nd_res_query(NULL, a[1], dns_class, type, answer, size, l);
    say_packet(ours, code, answer, size);
}

static const struct {
    const char *name;
    void (*ask)(char **, struct text *, struct text *);
    int arguments;
} operations[] = {
    {"gai", ask_gai, 7},   {"name", ask_name, 3}, {"static", ask_static, 2}, {"addr", ask_addr, 3},
    {"info", ask_info, 4}, {"query", ask_res, 5}, {"search", ask_res, 5},    {"domain", ask_res, 6},
};

int main(void) {
    static struct text libc, ours;
    char *line = NULL;
    size_t room = 0;
    int asked = 0, different = 0, left = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (getline(&line, &room, stdin) > 0) {
        char *question = strdup(line), *a[MAX_ARGUMENTS] = {0}, *rest = line;
        line[strcspn(line, "\n")] = question[strcspn(question, "\n")] = '\0';
        int n = 0;
        while (n < MAX_ARGUMENTS && (a[n] = strsep(&rest, "\t")) != NULL)
            n++;
        for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
            if (strcmp(a[0], operations[i].name) != 0 || n < operations[i].arguments)
                continue;
            libc.used = ours.used = 0;
            libc.bytes[0] = ours.bytes[0] = '\0';
            lookup.libc_why = NULL;
            nd_time start = nd_now();
            operations[i].ask(a, &libc, &ours);
            if (nd_now() - start > ND_SEC / 2)
                fprintf(stderr, "slow %d ms: %s\n", (int)((nd_now() - start) / ND_MSEC), question);
            asked++;
            if (lookup.libc_why) {
                left++;
            } else if (strcmp(libc.bytes, ours.bytes) != 0) {
                different++;
                printf("differ\t%s\n\tlibc %s\n\tours %s\n", question, libc.bytes, ours.bytes);
            }
        }
        free(question);
    }
    free(line);
    int version;
    ares_version(&version);
    printf("done\t%d\t%d\t%d\t%d\n", asked, different, left, version);
}
