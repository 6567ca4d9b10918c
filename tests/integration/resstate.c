/* Looks names up, and looks at and changes its resolver state between: resstate STEP..., each STEP[:ARGUMENT[:PORT]]:
 *   init, ninit           res_init(), res_ninit() of a state of its own
 *   query, search, send, nquery, nsearch NAME      prints what came: the last byte of the answer, or h_errno
 *   gai, host NAME        getaddrinfo, gethostbyname; prints the address or the code
 *   server ADDRESS PORT, domain NAME, sort NETWORK, retrans, ndots, set, clear NUMBER      changes _res; set and clear
 *                         its options
 *   nserver ADDRESS PORT, nset NUMBER      changes its own state
 *   nclose, close         closes its own state; all descriptors from 3 on
 *   open                  prints how many descriptors are open
 *   copy FILE             makes FILE the content of /etc/resolv.conf
 *   thread                makes all following steps in a new thread
 *   state                 prints _res
 *   getenv NUMBER         tells at the end where the library calls getenv more than NUMBER times from here on */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <resolv.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct __res_state own;
static char **steps;
static int counted = -1, allowed;

/* libc's own calls do not come here; those of a preloaded library do. */
char *getenv(const char *name) {
    size_t size = strlen(name);
    extern char **environ;
    if (counted >= 0)
        counted++;
    for (char **e = environ; e && *e; e++)
        if (strncmp(*e, name, size) == 0 && (*e)[size] == '=')
            return *e + size + 1;
    return NULL;
}

static void show_answer(const char *step, const unsigned char *answer, int length) {
    if (length > 0)
        printf("%s %d\n", step, answer[length - 1]);
    else
        printf("%s h_errno %d\n", step, h_errno);
}

static void ask(const char *step, const char *name) {
    unsigned char answer[4096], query[512];
    int length = -1;
    h_errno = 0;
    if (step[0] == 'q')
        length = res_query(name, C_IN, T_A, answer, sizeof answer);
    else if (strcmp(step, "search") == 0)
        length = res_search(name, C_IN, T_A, answer, sizeof answer);
    else if (strcmp(step, "nquery") == 0)
        length = res_nquery(&own, name, C_IN, T_A, answer, sizeof answer);
    else if (strcmp(step, "nsearch") == 0)
        length = res_nsearch(&own, name, C_IN, T_A, answer, sizeof answer);
    else
        length = res_send(query, res_mkquery(QUERY, name, C_IN, T_A, NULL, 0, NULL, query, sizeof query), answer,
                          sizeof answer);
    show_answer(step, answer, length);
}

static void look_up(const char *name) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
    int code = getaddrinfo(name, NULL, &hints, &list);
    if (code == 0) {
        printf("gai %s\n", inet_ntoa(((struct sockaddr_in *)list->ai_addr)->sin_addr));
        freeaddrinfo(list);
    } else {
        printf("gai code %d\n", code);
    }
}

static void look_up_host(const char *name) {
    struct hostent *host = gethostbyname(name);
    if (host)
        printf("host %s\n", inet_ntoa(*(struct in_addr *)host->h_addr_list[0]));
    else
        printf("host h_errno %d\n", h_errno);
}

static void set_server(struct __res_state *state, const char *address, const char *port) {
    state->nsaddr_list[0] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    inet_pton(AF_INET, address, &state->nsaddr_list[0].sin_addr);
    state->nscount = 1;
}

static void copy(const char *file) {
    char text[4096];
    int from = open(file, O_RDONLY), to = open("/etc/resolv.conf", O_WRONLY | O_TRUNC);
    ssize_t size = read(from, text, sizeof text);
    if (size < 0 || write(to, text, (size_t)size) != size)
        exit(9);
    close(from);
    close(to);
}

static void show_open(void) {
    int count = 0;
    for (int fd = 0; fd < 100; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    printf("open %d\n", count);
}

static void show_state(void) {
    printf("state %lx servers %d %s retrans %d retry %d ndots %d search", _res.options & ~RES_INIT, _res.nscount,
           inet_ntoa(_res.nsaddr_list[0].sin_addr), _res.retrans, _res.retry, _res.ndots);
    for (int i = 0; i < MAXDNSRCH && _res.dnsrch[i]; i++)
        printf(" %s", _res.dnsrch[i]);
    puts(_res.options & RES_INIT ? "" : " (not set up)");
}

static void change(const char *step, char *value, const char *port) {
    static char domain[256];
    if (strcmp(step, "server") == 0) {
        set_server(&_res, value, port);
    } else if (strcmp(step, "nserver") == 0) {
        set_server(&own, value, port);
    } else if (strcmp(step, "domain") == 0) {
        _res.dnsrch[0] = strcpy(domain, value);
        _res.dnsrch[1] = NULL;
    } else if (strcmp(step, "sort") == 0) {
        _res.nsort = 1;
        _res.sort_list[0].addr.s_addr = inet_addr(value);
        _res.sort_list[0].mask = htonl(0xffffff00);
    } else if (strcmp(step, "retrans") == 0) {
        _res.retrans = atoi(value);
    } else if (strcmp(step, "ndots") == 0) {
        _res.ndots = (unsigned)atoi(value) & 15;
    } else if (strcmp(step, "set") == 0) {
        _res.options |= strtoul(value, NULL, 0);
    } else if (strcmp(step, "nset") == 0) {
        own.options |= strtoul(value, NULL, 0);
    } else if (strcmp(step, "clear") == 0) {
        _res.options &= ~strtoul(value, NULL, 0);
    } else {
        fprintf(stderr, "unknown step %s\n", step);
        exit(8);
    }
}

static void *run(void *unused) {
    while (*steps) {
        char *step = strtok(*steps++, ":"), *value = strtok(NULL, ":"), *port = strtok(NULL, ":");
        pthread_t id;
        if (strcmp(step, "thread") == 0) {
            pthread_create(&id, NULL, run, NULL);
            pthread_join(id, NULL);
        } else if (strcmp(step, "init") == 0) {
            res_init();
        } else if (strcmp(step, "ninit") == 0) {
            res_ninit(&own);
        } else if (strcmp(step, "state") == 0) {
            show_state();
        } else if (strcmp(step, "getenv") == 0) {
            counted = 0;
            allowed = atoi(value);
        } else if (strcmp(step, "nclose") == 0) {
            res_nclose(&own);
        } else if (strcmp(step, "close") == 0) {
            for (int fd = 3; fd < 100; fd++)
                close(fd);
        } else if (strcmp(step, "open") == 0) {
            show_open();
        } else if (strcmp(step, "copy") == 0) {
            copy(value);
        } else if (strcmp(step, "gai") == 0) {
            look_up(value);
        } else if (strcmp(step, "host") == 0) {
            look_up_host(value);
        } else if (strstr("query search send nquery nsearch", step)) {
            ask(step, value);
        } else {
            change(step, value, port);
        }
    }
    return unused;
}

int main(int argc, char **argv) {
    (void)argc;
    steps = argv + 1;
    run(NULL);
    if (counted > allowed)
        printf("%d calls of getenv\n", counted);
}
