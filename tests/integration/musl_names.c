/* Built for musl. Puts each question of standard input to its lookup functions and prints an answer for each.
 *
 * A line is an operation and its arguments, separated by tabs; "-" stands for NULL, "" for "".
 *   gai NODE SERVICE FAMILY SOCKTYPE PROTOCOL FLAGS      (FAMILY "-": no hints)
 *   name NAME FAMILY SIZE | static NAME FAMILY | addr HEX FAMILY SIZE | saddr HEX FAMILY | info ADDRESS PORT FLAGS SIZE
 *   query|search NAME CLASS TYPE SIZE | domain NAME DOMAIN CLASS TYPE SIZE | send NAME TYPE SIZE
 * With the argument "time" an answer begins with how many tenths of a second it took. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { MOST_ARGUMENTS = 8 };

static const char *null_or(const char *text) {
    return strcmp(text, "-") == 0 ? NULL : text;
}

/* musl frees parts of a list, too: here every second node first. */
static void free_in_parts(struct addrinfo *list) {
    struct addrinfo *next = list->ai_next;
    if (next) {
        list->ai_next = next->ai_next;
        next->ai_next = NULL;
        freeaddrinfo(next);
    }
    freeaddrinfo(list);
}

static void ask_gai(char **a) {
    struct addrinfo *list = NULL, hints = {0};
    if (null_or(a[3])) {
        hints.ai_family = atoi(a[3]);
        hints.ai_socktype = atoi(a[4]);
        hints.ai_protocol = atoi(a[5]);
        hints.ai_flags = atoi(a[6]);
    }
    int code = getaddrinfo(null_or(a[1]), null_or(a[2]), null_or(a[3]) ? &hints : NULL, &list);
    printf("%d", code);
    if (code == EAI_SYSTEM)
        printf(" errno %d", errno);
    if (code)
        return;
    for (struct addrinfo *i = list; i; i = i->ai_next) {
        char text[INET6_ADDRSTRLEN] = "?";
        const struct sockaddr_in *v4 = (void *)i->ai_addr;
        const struct sockaddr_in6 *v6 = (void *)i->ai_addr;
        int is4 = i->ai_addr->sa_family == AF_INET;
        inet_ntop(i->ai_addr->sa_family, is4 ? (const void *)&v4->sin_addr : &v6->sin6_addr, text, sizeof text);
        printf(" [%s%%%u %d f%x %d/%d/%d l%d %s]", text, is4 ? 0 : v6->sin6_scope_id, ntohs(v4->sin_port), i->ai_flags,
               i->ai_family, i->ai_socktype, i->ai_protocol, (int)i->ai_addrlen,
               i->ai_canonname ? i->ai_canonname : "-");
    }
    free_in_parts(list);
}

static void say_hostent(int code, int h_err, const struct hostent *h) {
    printf("%d h%d", code, h_err);
    if (!h)
        return;
    printf(" %s %d/%d", h->h_name, h->h_addrtype, h->h_length);
    for (char **at = h->h_addr_list; *at; at++) {
        char text[INET6_ADDRSTRLEN] = "?";
        inet_ntop(h->h_addrtype, *at, text, sizeof text);
        printf(" %s", text);
    }
    for (char **alias = h->h_aliases; *alias; alias++)
        printf(" =%s", *alias);
}

static int hex_bytes(unsigned char *to, const char *hex) {
    int n = 0;
    for (; hex[0] && hex[1] && n < 16; hex += 2, n++)
        sscanf(hex, "%2hhx", &to[n]);
    return n;
}

static void ask_name(char **a) {
    static char buffer[1 << 15];
    struct hostent entry, *result = NULL;
    int h_err = 0;
    int code = gethostbyname2_r(a[1], atoi(a[2]), &entry, buffer + 1, (size_t)atoi(a[3]), &result, &h_err);
    say_hostent(code, h_err, result);
}

static void ask_static(char **a) {
    h_errno = 0;
    struct hostent *h = atoi(a[2]) == AF_INET ? gethostbyname(a[1]) : gethostbyname2(a[1], atoi(a[2]));
    say_hostent(0, h ? 0 : h_errno, h);
}

static void ask_addr(char **a) {
    static char buffer[1 << 15];
    unsigned char address[16];
    struct hostent entry, *result = NULL;
    int h_err = 0, length = hex_bytes(address, a[1]);
    if (strcmp(a[0], "saddr") == 0) {
        h_errno = 0;
        result = gethostbyaddr(address, (socklen_t)length, atoi(a[2]));
        say_hostent(0, result ? 0 : h_errno, result);
        return;
    }
    int code = gethostbyaddr_r(address, (socklen_t)length, atoi(a[2]), &entry, buffer + 1, (size_t)atoi(a[3]), &result,
                               &h_err);
    say_hostent(code, h_err, result);
}

static void ask_info(char **a) {
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } s = {0};
    char host[1025] = "", service[32] = "";
    socklen_t length = sizeof s.v4;
    if (inet_pton(AF_INET, a[1], &s.v4.sin_addr) > 0) {
        s.v4.sin_family = AF_INET;
    } else {
        inet_pton(AF_INET6, a[1], &s.v6.sin6_addr);
        s.v6.sin6_family = AF_INET6;
        s.v6.sin6_scope_id = IN6_IS_ADDR_LINKLOCAL(&s.v6.sin6_addr) ? 1 : 0;
        length = sizeof s.v6;
    }
    s.v4.sin_port = htons((in_port_t)atoi(a[2]));
    int code = getnameinfo(&s.sa, length, host, (socklen_t)atoi(a[4]), service, sizeof service, atoi(a[3]));
    printf("%d %s %s", code, code ? "" : host, code ? "" : service);
}

static void ask_res(char **a) {
    static unsigned char answer[65536];
    unsigned char packet[512];
    char **n = a + 2 + (strcmp(a[0], "domain") == 0);
    int is_send = strcmp(a[0], "send") == 0, code;
    int class = is_send ? 1 : atoi(n[0]), type = atoi(n[is_send ? 0 : 1]), size = atoi(n[is_send ? 1 : 2]);
    memset(answer, 0, sizeof answer);
    h_errno = 0;
    if (is_send) {
        int length = res_mkquery(0, a[1], 1, type, NULL, 0, NULL, packet, sizeof packet);
        code = length < 0 ? -2 : res_send(packet, length, answer, size);
    } else if (n > a + 2) {
        code = res_querydomain(a[1], a[2], class, type, answer, size);
    } else {
        code = (strcmp(a[0], "search") == 0 ? res_search : res_query)(a[1], class, type, answer, size);
    }
    printf("%d h%d ", code, code < 0 ? h_errno : 0);
    for (int i = 2; code > 0 && i < (code < size ? code : size); i++)
        printf("%02x", answer[i]);
}

static const struct {
    const char *name;
    void (*ask)(char **);
    int arguments;
} operations[] = {
    {"gai", ask_gai, 7},    {"name", ask_name, 4}, {"static", ask_static, 3}, {"addr", ask_addr, 4},
    {"saddr", ask_addr, 3}, {"info", ask_info, 5}, {"query", ask_res, 5},     {"search", ask_res, 5},
    {"domain", ask_res, 6}, {"send", ask_res, 4},
};

static long tenths(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 10 + now.tv_nsec / 100000000;
}

int main(int argc, char **argv) {
    char *line = NULL;
    size_t room = 0;
    int timed = argc > 1 && strcmp(argv[1], "time") == 0;
    while (getline(&line, &room, stdin) > 0) {
        char *a[MOST_ARGUMENTS] = {0}, *rest = line;
        int n = 0;
        line[strcspn(line, "\n")] = '\0';
        while (n < MOST_ARGUMENTS && (a[n] = strsep(&rest, "\t")) != NULL)
            n++;
        long began = tenths();
        for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
            if (strcmp(a[0], operations[i].name) == 0 && n >= operations[i].arguments)
                operations[i].ask(a);
        if (timed)
            printf(" %ld", tenths() - began);
        putchar('\n');
        fflush(stdout);
    }
    free(line);
}
