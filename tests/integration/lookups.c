/* Looks names up in ways that a resolver may stumble over: lookups MODE ARGUMENTS, in a private network.
 *   storm THREADS COUNT    distinct names; prints lookups, EAI_AGAINs, longest ms, threads, descriptors, KB at 20 % and
 *                          at the end
 *   close HOW              closes all descriptors under lookups and opens its own in their place, 20 times; prints how
 *                          often one of these was touched
 *   fork                   forks under lookups; every child looks up, too
 *   signals                lookups under a 1 kHz timer without SA_RESTART
 *   jump COUNT HOW         lookups that a handler leaves by siglongjmp: after 20 ms, or where HOW is "early" while they
 *                          begin, of getaddrinfo, or where HOW is "kept" over the connection that _res keeps; prints jumps, descriptors and threads more than
 *                          before, whether cancellation is off after the last of them, and KB more than after the
 *                          first tenth
 *   nested WHERE           a handler looks "good.test" up while "late.test" is; WHERE: stack, or alternate; prints both
 *                          codes
 *   many COUNT             lookups that succeed (numeric, hosts, DNS on 127.0.0.53); prints KB at 20 % and at the end
 *   async COUNT            getaddrinfo_a, waiting; prints the codes and the time in ms
 *   rate NAME FAMILY THREADS MS  lookups of one name; prints how many there were a second, the processor's ns for each,
 *                          and how many failed */
#include <arpa/nameser.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <resolv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "serve.h"

#ifndef SYS_close_range /* glibc 2.34 */
#define SYS_close_range 436
#endif

static atomic_int started, again, other, stop;
static atomic_long longest;
static int count, threads;

static long now_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int entries(const char *path) {
    DIR *d = opendir(path);
    int n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n - 2;
}

static long resident_kb(void) {
    long pages[2] = {0};
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &pages[0], &pages[1]) != 2)
        return -1;
    fclose(f);
    return pages[1] * (sysconf(_SC_PAGESIZE) / 1024);
}

static int look_up(const char *name) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    long began = now_ms();
    int code = getaddrinfo(name, "80", &hints, &list);
    long took = now_ms() - began, most = longest;
    while (took > most && !atomic_compare_exchange_weak(&longest, &most, took))
        continue;
    if (code == 0)
        freeaddrinfo(list);
    return code;
}

static void *look_up_many(void *unused) {
    for (int i; (i = started++) < count && !stop;) {
        char name[32];
        snprintf(name, sizeof name, "n%d.test", i);
        int code = look_up(name);
        *(code == EAI_AGAIN ? &again : &other) += 1;
    }
    return unused;
}

static void start(pthread_t *ids, int how_many, void *(*run)(void *)) {
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 64 << 10);
    for (int i = 0; i < how_many; i++)
        if (pthread_create(&ids[i], &attr, run, NULL) != 0)
            exit(2);
}

static int storm(char **arg) {
    pthread_t ids[64];
    int most_threads = 0, most_descriptors = 0;
    long early = 0;
    threads = atoi(arg[0]);
    count = atoi(arg[1]);
    start(ids, threads, look_up_many);
    while (again + other < count) {
        usleep(20000);
        int t = entries("/proc/self/task"), d = entries("/proc/self/fd");
        most_threads = t > most_threads ? t : most_threads;
        most_descriptors = d > most_descriptors ? d : most_descriptors;
        if (!early && again + other >= count / 5)
            early = resident_kb();
    }
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    printf("%d %d %ld %d %d %ld %ld\n", again + other, again, longest, most_threads, most_descriptors, early,
           resident_kb());
    return 0;
}

static void close_all(const char *how) {
    if (strcmp(how, "close_range") == 0) {
        syscall(SYS_close_range, 3u, ~0u, 0u);
        return;
    }
#ifdef __GLIBC__ /* the rest is built for musl, too (musl_lookups_test.py) */
    if (strcmp(how, "closefrom") == 0) {
        closefrom(3);
        return;
    }
#endif
    for (int fd = 3; fd < 256; fd++)
        close(fd);
}

/* What a program may have opened under the numbers of a lookup's sockets: none of it may be touched. */
struct opened {
    int file, pipe_ends[2], udp, connected;
};

static bool complain(const char *what, ssize_t size) {
    fprintf(stderr, "%s: %zd bytes, %s\n", what, size, size < 0 ? strerror(errno) : "which are others");
    return false;
}

static bool open_one_of_each(struct opened *o) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, b = a;
    socklen_t size = sizeof a;
    o->file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    o->udp = socket(AF_INET, SOCK_DGRAM, 0);
    o->connected = socket(AF_INET, SOCK_DGRAM, 0);
    return pipe2(o->pipe_ends, O_NONBLOCK) == 0 && bind(o->udp, (struct sockaddr *)&a, size) == 0 &&
           getsockname(o->udp, (struct sockaddr *)&a, &size) == 0 &&
           connect(o->connected, (struct sockaddr *)&a, size) == 0 &&
           getsockname(o->connected, (struct sockaddr *)&b, &size) == 0 &&
           connect(o->udp, (struct sockaddr *)&b, size) == 0 && write(o->pipe_ends[1], "plain", 5) == 5 &&
           send(o->connected, "mine", 4, 0) == 4;
}

static bool is_untouched(const struct opened *o) {
    char bytes[8];
    struct stat st;
    ssize_t size;
    if (fstat(o->file, &st) != 0 || st.st_size != 0)
        return complain("the file", st.st_size);
    if ((size = read(o->pipe_ends[0], bytes, sizeof bytes)) != 5 || memcmp(bytes, "plain", 5) != 0)
        return complain("the pipe", size);
    if ((size = recv(o->udp, bytes, sizeof bytes, MSG_DONTWAIT)) != 4 || memcmp(bytes, "mine", 4) != 0)
        return complain("the socket", size);
    if ((size = recv(o->connected, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0)
        return complain("the connected socket", size);
    return true;
}

static bool close_each(const struct opened *o) {
    int closed = close(o->file) + close(o->pipe_ends[0]) + close(o->pipe_ends[1]) + close(o->udp);
    return closed + close(o->connected) == 0 || complain("a descriptor was closed", -1);
}

/* Of each kind ten, so that every number that was free has one. */
static bool close_once(const char *how) {
    struct opened opened[10];
    bool good = true;
    close_all(how);
    for (int i = 0; i < 10; i++) {
        good = open_one_of_each(&opened[i]) && good;
        if (i == 0) /* some of them stay as they are while lookups go on and reach their deadlines */
            usleep(120000);
        good = is_untouched(&opened[i]) && good;
    }
    for (int i = 0; i < 10; i++)
        good = close_each(&opened[i]) && good;
    return good;
}

static int close_under_lookups(char **arg) {
    pthread_t ids[4];
    int bad = 0;
    count = 1 << 30;
    start(ids, 4, look_up_many);
    for (int round = 0; round < 20; round++) {
        usleep(20000);
        bad += !close_once(arg[0]);
    }
    stop = 1;
    for (int i = 0; i < 4; i++)
        pthread_join(ids[i], NULL);
    printf("%d\n", bad);
    return 0;
}

static int child_looks_up(int round) {
    pid_t child = fork();
    if (child == 0) {
        char name[32];
        snprintf(name, sizeof name, "child%d.test", round);
        alarm(20);
        int code = look_up(name);
        _exit(code == EAI_AGAIN || code == 0 ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    return status;
}

static int fork_under_lookups(void) {
    pthread_t ids[8];
    int bad = 0;
    count = 1 << 30;
    start(ids, 8, look_up_many);
    for (int round = 0; round < 40; round++) {
        usleep(1000 * (round % 7));
        bad += child_looks_up(round) != 0;
    }
    stop = 1;
    for (int i = 0; i < 8; i++)
        pthread_join(ids[i], NULL);
    printf("%s %d %ld\n", bad ? "bad" : "good", other, longest);
    return bad;
}

static void on_signal(int number) {
    (void)number;
}

static int lookups_under_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    struct itimerval often = {{0, 1000}, {0, 1000}};
    int codes[3];
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 3; i++)
        codes[i] = look_up(i == 0 ? "silent.test" : i == 1 ? "good.test" : "late.test");
    printf("%d %d %d %ld\n", codes[0], codes[1], codes[2], longest);
    return 0;
}

static int look_up_and_measure(char **arg) {
    long early = 0;
    int bad = 0;
    count = atoi(arg[0]);
    pid_t server = serve();
    for (int i = 0; i < count; i++) {
        char name[32];
        struct hostent entry, *result;
        char buffer[2048], host[64];
        int h_err;
        snprintf(name, sizeof name, "n%d.test", i);
        bad += look_up(i % 4 == 0 ? "192.0.2.1" : i % 4 == 1 ? "localhost" : name) != 0;
        if (i % 4 == 3)
            bad += gethostbyname_r(name, &entry, buffer, sizeof buffer, &result, &h_err) != 0 || !result;
        if (i % 16 == 2) {
            struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            bad += getnameinfo((struct sockaddr *)&a, sizeof a, host, sizeof host, NULL, 0, 0) != 0;
        }
        if (i == count / 5)
            early = resident_kb();
    }
    kill(server, SIGKILL);
    printf("%d %ld %ld %d\n", bad, early, resident_kb(), entries("/proc/self/fd"));
    return 0;
}

#ifdef __GLIBC__
static int ask_together(char **arg) {
    static struct gaicb requests[64], *list[64];
    static char names[64][16];
    int n = atoi(arg[0]);
    for (int i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], i % 2 ? "n%d.test" : "192.0.2.%d", i);
        requests[i].ar_name = names[i];
        list[i] = &requests[i];
    }
    long began = now_ms();
    int code = getaddrinfo_a(GAI_WAIT, list, n, NULL);
    printf("%ld %d", now_ms() - began, code);
    for (int i = 0; i < n; i++)
        printf(" %d", gai_error(&requests[i]));
    puts("");
    return 0;
}
#endif

static const char *rated;
static int rated_family;

static void *look_up_at_rate(void *unused) {
    struct addrinfo hints = {.ai_family = rated_family, .ai_socktype = SOCK_STREAM}, *list;
    int made = 0, failed = 0;
    for (; !stop; made++) {
        int code = getaddrinfo(rated, "80", &hints, &list);
        failed += code != 0;
        if (code == 0)
            freeaddrinfo(list);
    }
    started += made;
    other += failed;
    return unused;
}

static int rate(char **arg) {
    pthread_t ids[64];
    rated = arg[0];
    rated_family = atoi(arg[1]);
    threads = atoi(arg[2]);
    pid_t server = serve();
    struct addrinfo *list;
    getaddrinfo(rated, "80", NULL, &list); /* files are read once */
    long began = now_ms();
    start(ids, threads, look_up_at_rate);
    usleep((useconds_t)atoi(arg[3]) * 1000);
    stop = 1;
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double ns = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e9 +
                (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e3;
    printf("%ld %.0f %d\n", (long)started * 1000 / (now_ms() - began), ns / started, other);
    kill(server, SIGKILL);
    return 0;
}

static sigjmp_buf away;

static void jump(int signal) {
    (void)signal;
    siglongjmp(away, 1);
}

static void arm_us(long us) {
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {.tv_usec = us}}, NULL);
}

static void arm(long ms) {
    arm_us(ms * 1000);
}

static void look_up_in(bool kept, const char *name) {
    unsigned char answer[512];
    if (kept)
        res_query(name, C_IN, T_A, answer, sizeof answer);
    else
        look_up(name);
}

static int leave_lookups(char **arg) {
    volatile int jumps = 0;
    int off = 0, descriptors = entries("/proc/self/fd");
    volatile long early = 0;
    bool kept = strcmp(arg[1], "kept") == 0, early_jump = strcmp(arg[1], "early") == 0;
    count = atoi(arg[0]);
    if (kept && res_init() == 0)
        _res.options |= RES_USEVC | RES_STAYOPEN;
    signal(SIGALRM, jump);
    for (volatile int i = 0; i < count; i++) {
        if (i == count / 10)
            early = resident_kb();
        if (sigsetjmp(away, 1) == 0) {
            arm_us(early_jump ? 30 + i * 7 % 300 : 20000);
            look_up_in(kept, "s.test");
        } else {
            jumps++;
        }
        arm(0);
    }
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &off);
    look_up_in(kept, "good.test");
#ifdef __GLIBC__
    if (kept)
        res_nclose(&_res);
#endif
    printf("%d %d %d %d %ld\n", jumps, entries("/proc/self/fd") - descriptors, entries("/proc/self/task") - 1,
           off == PTHREAD_CANCEL_DISABLE, resident_kb() - early);
    return 0;
}

static volatile int nested_code = 1;

static void look_up_in_handler(int signal) {
    (void)signal;
    nested_code = look_up("good.test");
}

static int nest_lookups(char **arg) {
    static char stack[256 << 10];
    struct sigaction action = {.sa_handler = look_up_in_handler};
    if (strcmp(arg[0], "alternate") == 0) {
        action.sa_flags = SA_ONSTACK;
        sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    }
    look_up("good.test"); /* files are read once */
    sigaction(SIGALRM, &action, NULL);
    arm(100);
    int code = look_up("late.test");
    printf("%d %d\n", nested_code, code);
    return 0;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "storm") == 0 && argc == 4)
        return storm(argv + 2);
    if (strcmp(mode, "close") == 0 && argc == 3)
        return close_under_lookups(argv + 2);
    if (strcmp(mode, "fork") == 0)
        return fork_under_lookups();
    if (strcmp(mode, "signals") == 0)
        return lookups_under_signals();
    if (strcmp(mode, "jump") == 0 && argc == 4)
        return leave_lookups(argv + 2);
    if (strcmp(mode, "nested") == 0 && argc == 3)
        return nest_lookups(argv + 2);
    if (strcmp(mode, "many") == 0 && argc == 3)
        return look_up_and_measure(argv + 2);
    if (strcmp(mode, "rate") == 0 && argc == 6)
        return rate(argv + 2);
#ifdef __GLIBC__
    if (strcmp(mode, "async") == 0 && argc == 3)
        return ask_together(argv + 2);
#endif
    return 2;
}
