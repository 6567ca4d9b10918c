"""What the library does by itself leaves errno alone: at load, fork, exec and exit, when threads begin and end, in signal handlers.
And it is there for calls that constructors of other libraries make before its own."""

import subprocess

import pytest

import programs
from faults import dns, tcp

# Each line: where, the value before, and what errno is there. 42 is set where nothing of ours may change it.
PROGRAM = """
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static int quiet_fd, echo_fd, in_handler = -1, handled;
static void tell(const char *where, int value) { printf("%s %d\\n", where, value); fflush(stdout); }
static void before(void) { tell("prepare", errno); errno = 42; }
static void parent(void) { tell("parent", errno); errno = 42; }
static void child(void) { tell("child", errno); errno = 42; }
static void at_exit(void) { int value = errno; tell("exit", value); errno = 42; }
static void __attribute__((destructor)) destructor(void) { int value = errno; tell("destructor", value); }
static pthread_key_t key;
static void ended(void *unused) { int value = errno; tell("key", value); errno = 42; }
static void cleaned(void *unused) { errno = 42; }
static void *thread(void *unused) {
    tell("thread", errno);
    pthread_setspecific(key, &key);
    errno = 42;
    return NULL;
}
static void *cancelled(void *unused) {
    char byte;
    pthread_cleanup_push(cleaned, NULL);
    errno = 42;
    recv(quiet_fd, &byte, 1, 0);
    pthread_cleanup_pop(0);
    return NULL;
}
static void on_signal(int number) {
    char bytes[5];
    int saved = errno;
    errno = 42;
    handled = send(echo_fd, "hello", 5, 0) == 5 && recv(echo_fd, bytes, 5, MSG_WAITALL) == 5;
    in_handler = errno;
    errno = saved;
}
static int dial(const char *port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (void *)&to, sizeof to)) exit(9);
    return fd;
}
int main(int argc, char **argv) {
    int first = errno;
    tell("main", first);
    if (argc < 3) return 0;
    atexit(at_exit);
    pthread_atfork(before, parent, child);
    errno = 42;
    quiet_fd = dial(argv[1]);
    echo_fd = dial(argv[2]);
    tell("dial", errno);
    errno = 42;
    pid_t pid = fork();
    tell(pid ? "forked" : "in child", errno);
    if (!pid) { errno = 42; execl(argv[0], argv[0], (char *)NULL); }
    waitpid(pid, NULL, 0);
    pthread_t t;
    pthread_key_create(&key, ended);
    pthread_create(&t, NULL, thread, NULL);
    pthread_join(t, NULL);
    pthread_create(&t, NULL, cancelled, NULL);
    usleep(100000);
    pthread_cancel(t);
    pthread_join(t, NULL);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 100000}}, NULL);
    struct timeval second = {1, 0};
    setsockopt(quiet_fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    char byte;
    errno = 0;
    recv(quiet_fd, &byte, 1, 0);
    printf("handler %d %d\\n", handled, in_handler);
    errno = 42;
    exit(0);
}
"""


@pytest.fixture
def program(tmp_path):
    (tmp_path / "p.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-w", "-D_GNU_SOURCE", "-o", tmp_path / "p", tmp_path / "p.c", "-pthread"], check=True)
    return tmp_path / "p"


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime changes it")
@pytest.mark.parametrize("limits", [{}, {"RECV": "9s", "SEND": "9s", "IDLE": "9s"}, {"MODE": "observe"}, {"MODE": "off"},
                                    {"CONFIG": "/etc/passwd/no", "LOG": "/no/such/place", "SKIP": "other"}], ids=str)
def test_errno_stays(net, program, limits):
    quiet, echo = net.serve(tcp.silent), net.serve(tcp.echo)
    run = lambda library: net.run([program, quiet.port, echo.port], library=library, **limits)
    without, under = run(False), run(True)
    assert b"main 0\n" in without.out and b"handler 1 42\n" in without.out, without
    in_order = [sorted(result.out.splitlines()) for result in (without, under)]  # parent and child run side by side
    assert under.status == without.status == 0 and in_order[0] == in_order[1], (without, under)


EARLY = """
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
static void __attribute__((constructor)) early(void) {
    struct addrinfo *list;
    int code = getaddrinfo("name.test", NULL, NULL, &list);
    printf("getaddrinfo %s\\n", code ? gai_strerror(code) : "found");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv("PORT"))), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char byte;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    connect(fd, (void *)&to, sizeof to);
    int got = recv(fd, &byte, 1, 0);
    printf("recv %d %d\\n", got, errno);
    fflush(stdout);
}
void something(void) {}
"""


@pytest.mark.parametrize("lookup_first", [True, False], ids=["lookup", "socket"])
def test_constructors_that_run_before_ours(net, tmp_path, lookup_first):
    """Those of a library that the program is linked with do."""
    server = net.serve(tcp.silent)
    net.dns(dns.silent)
    text = EARLY if lookup_first else EARLY.replace('getaddrinfo("name.test", NULL, NULL, &list)', "EAI_AGAIN")
    (tmp_path / "early.c").write_text(text)
    (tmp_path / "main.c").write_text("void something(void); int main(void) { something(); return 0; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "libearly.so", tmp_path / "early.c"], check=True)
    subprocess.run(["gcc", "-w", "-o", tmp_path / "main", tmp_path / "main.c", tmp_path / "libearly.so"], check=True)
    result = net.run([tmp_path / "main"], variables={"PORT": str(server.port)}, RECV="700ms", RESOLVE="700ms")
    assert result.out == b"getaddrinfo Temporary failure in name resolution\nrecv -1 110\n", result
