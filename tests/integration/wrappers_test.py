"""Other preloaded libraries that define hooked functions, before and behind this one: what they do still happens, nothing comes back
to itself, and limits hold."""

import subprocess

import pytest

import programs
from faults import tcp

BOTH_ORDERS = pytest.mark.parametrize("first", [True, False], ids=["first", "behind"])
EVERYTHING = {"RECV": "1s", "SEND": "9s", "IDLE": "9s", "LIFETIME": "1m"}

HEAD = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <arpa/inet.h>
"""

# Its own calls by number, as mptcpize's library makes them: they come to the hook of syscall().
BY_NUMBER = HEAD + """
int socket(int a, int b, int c) { return (int)syscall(SYS_socket, a, b, c); }
int connect(int a, const struct sockaddr *b, socklen_t c) { return (int)syscall(SYS_connect, a, b, c); }
int close(int a) { return (int)syscall(SYS_close, a); }
int setsockopt(int a, int b, int c, const void *d, socklen_t e) { return (int)syscall(SYS_setsockopt, a, b, c, d, e); }
int getsockopt(int a, int b, int c, void *d, socklen_t *e) { return (int)syscall(SYS_getsockopt, a, b, c, d, e); }
ssize_t read(int a, void *b, size_t c) { return syscall(SYS_read, a, b, c); }
ssize_t write(int a, const void *b, size_t c) { return syscall(SYS_write, a, b, c); }
ssize_t recv(int a, void *b, size_t c, int d) { return syscall(SYS_recvfrom, a, b, c, d, 0, 0); }
ssize_t send(int a, const void *b, size_t c, int d) { return syscall(SYS_sendto, a, b, c, d, 0, 0); }
ssize_t recvmsg(int a, struct msghdr *b, int c) { return syscall(SYS_recvmsg, a, b, c); }
ssize_t sendmsg(int a, const struct msghdr *b, int c) { return syscall(SYS_sendmsg, a, b, c); }
int poll(struct pollfd *a, nfds_t b, int c) {
    struct timespec t = {c / 1000, c % 1000 * 1000000L};
    return (int)syscall(SYS_ppoll, a, b, c < 0 ? 0 : &t, 0, 8);
}
"""

# One function by another, found by the search order: each comes to the hook of the other.
UPWARD = HEAD + """
ssize_t recv(int a, void *b, size_t c, int d) { return recvfrom(a, b, c, d, 0, 0); }
ssize_t recvfrom(int a, void *b, size_t c, int d, struct sockaddr *e, socklen_t *f) {
    struct iovec iov = {b, c};
    struct msghdr m = {.msg_name = e, .msg_namelen = e ? *f : 0, .msg_iov = &iov, .msg_iovlen = 1};
    return recvmsg(a, &m, d);
}
ssize_t send(int a, const void *b, size_t c, int d) { return sendto(a, b, c, d, 0, 0); }
ssize_t sendto(int a, const void *b, size_t c, int d, const struct sockaddr *e, socklen_t f) {
    struct iovec iov = {(void *)b, c};
    struct msghdr m = {.msg_name = (void *)e, .msg_namelen = f, .msg_iov = &iov, .msg_iovlen = 1};
    return sendmsg(a, &m, d);
}
int poll(struct pollfd *a, nfds_t b, int c) {
    struct timespec t = {c / 1000, c % 1000 * 1000000L};
    return ppoll(a, b, c < 0 ? 0 : &t, 0);
}
"""
DOWNWARD = HEAD + """
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
ssize_t recvfrom(int a, void *b, size_t c, int d, struct sockaddr *e, socklen_t *f) { return e ? REAL(recvfrom)(a, b, c, d, e, f) : recv(a, b, c, d); }
ssize_t recv(int a, void *b, size_t c, int d) { return d ? REAL(recv)(a, b, c, d) : read(a, b, c); }
ssize_t sendto(int a, const void *b, size_t c, int d, const struct sockaddr *e, socklen_t f) { return e ? REAL(sendto)(a, b, c, d, e, f) : send(a, b, c, d); }
ssize_t send(int a, const void *b, size_t c, int d) { return d ? REAL(send)(a, b, c, d) : write(a, b, c); }
int ppoll(struct pollfd *a, nfds_t b, const struct timespec *c, const sigset_t *d) {
    return d ? REAL(ppoll)(a, b, c, d) : poll(a, b, c ? (int)(c->tv_sec * 1000 + c->tv_nsec / 1000000) : -1);
}
"""


def wrapper(path, text):
    path.with_suffix(".c").write_text(text)
    subprocess.run(["gcc", "-w", "-shared", "-fPIC", "-o", path, path.with_suffix(".c"), "-ldl"], check=True)
    return path


def preloaded(other, first):
    """The variables with the library first, or behind the other one."""
    parts = [programs.LIBRARY, other] if first else [other, programs.LIBRARY]
    return {"LD_PRELOAD": ":".join([*programs.RUNTIME.split(), *map(str, parts)])}


TALK = programs.child("""
s = dial()
s.sendall(b"hello"); print(s.recv(5))
s.send(b"again"); print(s.recvfrom(5)[0])
os.write(s.fileno(), b"third"); print(os.read(s.fileno(), 5))
s.sendmsg([b"last"]); print(s.recvmsg(4)[0])
print(len(ready("poll", s, select.POLLIN, 50)))
print(error(s.recv, 1))
""")
TALKED = b"b'hello'\nb'again'\nb'third'\nb'last'\n1\nETIMEDOUT\n"


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime has wrappers of its own")
@BOTH_ORDERS
@pytest.mark.parametrize("text", [BY_NUMBER, UPWARD, DOWNWARD], ids=["by number", "upward", "downward"])
def test_calls_that_come_back(net, tmp_path, text, first):
    server = net.serve(tcp.echo)
    other = wrapper(tmp_path / "wrapper.so", text)
    result = net.run([*TALK, server.port], variables=preloaded(other, first), **EVERYTHING)
    assert (result.status, result.out) == (0, TALKED), result


# Local sockets in the place of TCP's, as socket_wrapper makes them; what it tells of them is TCP's. It sees no lookup of libc's.
LOCAL = HEAD + """
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
int socket(int a, int b, int c) {
    if (a == AF_INET && (b & 15) == SOCK_DGRAM) return errno = ENETDOWN, -1;
    return a == AF_INET ? REAL(socket)(AF_UNIX, b, 0) : REAL(socket)(a, b, c);
}
int connect(int a, const struct sockaddr *b, socklen_t c) {
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    strcpy(place.sun_path, getenv("PLACE"));
    if (b->sa_family == AF_UNSPEC) return 0;
    return b->sa_family == AF_INET ? REAL(connect)(a, (void *)&place, sizeof place) : REAL(connect)(a, b, c);
}
int getsockopt(int a, int b, int c, void *d, socklen_t *e) {
    if (b == SOL_SOCKET && c == SO_DOMAIN) return *(int *)d = AF_INET, 0;
    if (b != IPPROTO_TCP) return REAL(getsockopt)(a, b, c, d, e);
    memset(d, 0, *e);
    if (c == TCP_INFO) *(char *)d = TCP_ESTABLISHED;
    return 0;
}
int setsockopt(int a, int b, int c, const void *d, socklen_t e) { return b == IPPROTO_TCP ? 0 : REAL(setsockopt)(a, b, c, d, e); }
"""


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime has wrappers of its own")
def test_sockets_of_another_family(net, tmp_path):
    net.names({"there.test": ["192.0.2.1"]})
    code = """
place = socket.socket(socket.AF_UNIX)
place.bind(os.environ["PLACE"])
place.listen()
told = [socket.gethostbyname("there.test")]
for how in "recv", "poll", "epoll":
    s = dial(80)
    if how != "recv":
        ready(how, s, select.POLLIN, 9)
    told += [error(s.recv, 1), error(s.recv, 1)]
tell(told)
"""
    variables = {**preloaded(wrapper(tmp_path / "local.so", LOCAL), True), "PLACE": str(tmp_path / "place")}
    assert net.told(code, variables=variables, RECV="700ms", patience=12) == ["192.0.2.1"] + ["ETIMEDOUT", "ECONNRESET"] * 3


# A list in one piece, as proxychains makes it: only its own freeaddrinfo can free it. A name that hangs, and one that is not known.
NAMES = HEAD + """
static void hang(const char *name) { if (name && !strncmp(name, "hang", 4)) sleep(30); }
struct piece { struct addrinfo info; struct sockaddr_in address; char name[20]; };
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res) {
    struct piece *p = calloc(1, sizeof *p);
    hang(node);
    if (!strncmp(node, "no", 2)) return free(p), EAI_NONAME;
    p->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(service ? atoi(service) : 0), .sin_addr.s_addr = htonl(0x0a010203)};
    strcpy(p->name, "canonical");
    p->info = (struct addrinfo){.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_addrlen = sizeof p->address,
                                .ai_addr = (struct sockaddr *)&p->address, .ai_canonname = p->name};
    *res = &p->info;
    return 0;
}
void freeaddrinfo(struct addrinfo *list) { free(list); write(1, "freed\\n", 6); }
int getnameinfo(const struct sockaddr *a, socklen_t b, char *host, socklen_t size, char *c, socklen_t d, int e) { strcpy(host, "by the other"); return 0; }
static char bytes[4] = {10, 9, 8, 7}, *list[] = {bytes, 0}, *none[] = {0};
static struct hostent entry = {.h_name = "old", .h_aliases = none, .h_addrtype = AF_INET, .h_length = 4, .h_addr_list = list};
struct hostent *gethostbyname(const char *name) { hang(name); h_errno = HOST_NOT_FOUND; return strncmp(name, "no", 2) ? &entry : NULL; }
struct hostent *gethostbyaddr(const void *a, socklen_t b, int c) { return &entry; }
int res_query(const char *name, int a, int b, unsigned char *answer, int size) { memset(answer, 7, 12); return 12; }
"""
LOOKUPS = """
#include <errno.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
int main(int argc, char **argv) {
    struct addrinfo *list;
    char host[100] = "";
    unsigned char answer[100];
    setbuf(stdout, NULL);
    int code = getaddrinfo(argv[1], "80", NULL, &list);
    printf("getaddrinfo %s\\n", code ? gai_strerror(code) : inet_ntoa(((struct sockaddr_in *)list->ai_addr)->sin_addr));
    if (!code) printf("%s\\n", list->ai_canonname), freeaddrinfo(list);
    struct hostent *h = gethostbyname(argv[1]);
    printf("gethostbyname %s\\n", h ? inet_ntoa(*(struct in_addr *)h->h_addr) : hstrerror(h_errno));
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    code = getnameinfo((void *)&a, sizeof a, host, sizeof host, NULL, 0, 0);
    printf("getnameinfo %d %s\\n", code, host);
    h = gethostbyaddr(&a.sin_addr, 4, AF_INET);
    printf("gethostbyaddr %s\\n", h ? h->h_name : hstrerror(h_errno));
    code = res_query(argv[1], 1, 1, answer, sizeof answer);
    printf("res_query %d %d\\n", code, answer[0]);
    return 0;
}
"""
FOUND = b"""getaddrinfo 10.1.2.3
canonical
freed
gethostbyname 10.9.8.7
getnameinfo 0 by the other
gethostbyaddr old
res_query 12 7
"""


@pytest.fixture
def lookups(tmp_path):
    (tmp_path / "lookups.c").write_text(LOOKUPS)
    subprocess.run(["gcc", "-w", "-o", tmp_path / "lookups", tmp_path / "lookups.c", "-lresolv"], check=True)
    return tmp_path / "lookups", wrapper(tmp_path / "names.so", NAMES)


@BOTH_ORDERS
@pytest.mark.parametrize("limits", [{}, {"RESOLVE": "off"}, {"MODE": "observe"}], ids=str)
def test_lookups_are_the_other_librarys(net, lookups, first, limits):
    net.names({"there.test": ["192.0.2.1"]})
    program, other = lookups
    result = net.run([program, "there.test"], variables=preloaded(other, first), **limits)
    assert (result.status, result.out) == (0, FOUND), result
    unknown = net.run([program, "not.test"], variables=preloaded(other, first), **limits)
    assert unknown.out.startswith(b"getaddrinfo Name or service not known\ngethostbyname Unknown host\n"), unknown


def test_lookups_of_the_other_library_are_bounded(net, lookups):
    net.names({})
    program, other = lookups
    result = net.run([program, "hang.test"], variables=preloaded(other, True), RESOLVE="700ms")
    assert result.out.startswith(b"getaddrinfo Temporary failure in name resolution\ngethostbyname Host name lookup failure\n"), result
    assert 1.3 < result.elapsed < 6, result
