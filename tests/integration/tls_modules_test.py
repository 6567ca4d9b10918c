"""The real function is found for the module that calls. Two small libraries stand in for two versions of OpenSSL, the older of
which (1.0.2) lacks much: each has its own objects, and a read of the wrong one's says so."""

import subprocess

import pytest

import programs
from calls import LATEST, LIMIT
from faults import tcp

LIBRARY = r"""
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>
static const char method[] = "method of " NAME;
struct ssl_st { int version; const void *method; int fd, state; };
struct ssl_st *SSL_new(int fd) {
    struct ssl_st *ssl = calloc(1, 64);
    ssl->method = method;
    ssl->fd = fd;
    ssl->state = fd < 0 ? 3 : 0x1000;
    return ssl;
}
int SSL_get_rfd(const struct ssl_st *ssl) { return ssl->fd; }
int SSL_state(const struct ssl_st *ssl) { return ssl->state; }
int SSL_get_error(const struct ssl_st *ssl, int result) { (void)ssl; return result > 0 ? 0 : 5; }
/* Its handshake is five bytes of the peer's. */
static int shake(struct ssl_st *ssl) {
    char byte;
    for (int i = 0; i < 5; i++)
        if (read(ssl->fd, &byte, 1) != 1)
            return -1;
    ssl->state = 3;
    return 1;
}
int SSL_read(struct ssl_st *ssl, void *buffer, int size) {
    if (ssl->method != method)
        return -100; /* somebody else's */
    if (ssl->fd < 0)
        return NAME[0];
    if (ssl->state != 3 && shake(ssl) != 1)
        return -1;
    return (int)read(ssl->fd, buffer, (size_t)size);
}
ssize_t SSL_sendfile(struct ssl_st *ssl, int fd, off_t offset, size_t size, int flags) {
    (void)flags;
    return sendfile(ssl->fd, fd, &offset, size);
}
int SSL_read_early_data(struct ssl_st *ssl, void *buffer, size_t size, size_t *done) {
    ssize_t got = ssl->state != 3 && shake(ssl) != 1 ? -1 : read(ssl->fd, buffer, size);
    *done = got > 0 ? (size_t)got : 0;
    return got > 0;
}
#ifdef NEW /* as 3.3 */
int SSL_write_ex2(struct ssl_st *ssl, const void *buffer, size_t size, uint64_t flags, size_t *done) {
    ssize_t sent = flags == 7 ? write(ssl->fd, buffer, size) : -1;
    *done = sent > 0 ? (size_t)sent : 0;
    return sent > 0;
}
#endif
"""

PLUGIN = r"""
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
struct ssl_st;
struct ssl_st *SSL_new(int fd);
int SSL_read(struct ssl_st *ssl, void *buffer, int size);
struct ssl_st *make(int fd) { return SSL_new(fd); }
int ask(struct ssl_st *ssl, char *buffer) { volatile int got = SSL_read(ssl, buffer, 100); return got; }
int ask_by_tail(struct ssl_st *ssl, char *buffer) { return SSL_read(ssl, buffer, 100); } /* a jump: the caller's caller is seen */
ssize_t SSL_sendfile(struct ssl_st *ssl, int fd, off_t offset, size_t size, int flags);
long send_zeroes(struct ssl_st *ssl, int fd) { return SSL_sendfile(ssl, fd, 0, 50000000, 0); }
int SSL_read_early_data(struct ssl_st *ssl, void *buffer, size_t size, size_t *done);
int early(struct ssl_st *ssl, char *buffer) { size_t done; return SSL_read_early_data(ssl, buffer, 100, &done) ? (int)done : -1; }
int SSL_write_ex2(struct ssl_st *ssl, const void *buffer, size_t size, uint64_t flags, size_t *done) __attribute__((weak));
int write_ex2(struct ssl_st *ssl) {
    size_t done = 99;
    return !SSL_write_ex2 ? -2 : SSL_write_ex2(ssl, "hello", 5, 7, &done) ? (int)done : errno == ENOSYS ? -3 : -1;
}
int ask_through(int (*other)(struct ssl_st *, char *), struct ssl_st *ssl, char *buffer) { volatile int got = other(ssl, buffer); return got; }
"""

HOST = """
import _ctypes, ctypes, errno, os, sys, threading, time
directory = sys.argv[1]

def load(name):
    plugin = ctypes.CDLL(f"{directory}/plugin_{name}.so", use_errno=True)
    plugin.make.restype = ctypes.c_void_p
    plugin.path = name
    return plugin

def make(plugin, fd=-1):
    return ctypes.c_void_p(plugin.make(fd))

def ask(plugin, ssl, how="ask"):
    return chr(getattr(plugin, how)(ssl, ctypes.create_string_buffer(100)))

def unload(plugin):
    _ctypes.dlclose(plugin._handle)
"""


@pytest.fixture
def directory(tmp_path):
    for name in "ab":
        compile_c(LIBRARY, tmp_path / f"libssl_{name}.so", "-shared", "-fPIC", f'-DNAME="{name}"', *["-DNEW"] * (name == "b"))
        compile_c(PLUGIN, tmp_path / f"plugin_{name}.so", "-shared", "-fPIC", f"-L{tmp_path}", f"-lssl_{name}",
                  f"-Wl,-rpath,{tmp_path}")
    return tmp_path


def compile_c(source, target, *flags):
    # Libraries come after what needs them.
    subprocess.run(["gcc", "-O2", "-x", "c", "-o", target, "-", *flags], input=source, text=True, check=True, capture_output=True)


def run(net, directory, code, *arguments, **how):
    result = net.run([programs.PYTHON, "-c", HOST + code, directory, *arguments], **how)
    assert result.status == 0, result
    return result.out.decode()


def test_each_module_has_its_own(net, directory):
    out = run(net, directory, """
a, b = load("a"), load("b")
ssl_a, ssl_b = make(a), make(b)
print("".join(ask(a, ssl_a) + ask(b, ssl_b) for _ in range(3)))
""")
    assert out == "ababab\n"


def test_a_tail_call_hides_the_caller(net, directory):
    """Plugin a calls a function of plugin b, which jumps into b's library: what is seen is a call from a."""
    out = run(net, directory, """
a, b = load("a"), load("b")
ssl_a, ssl_b = make(a), make(b)
room = ctypes.create_string_buffer(100)
for _ in range(3):
    print(chr(a.ask_through(b.ask_by_tail, ssl_b, room)), ask(a, ssl_a), ask(b, ssl_b, "ask_by_tail"))
""")
    assert out == "b a b\n" * 3


def test_libraries_come_and_go(net, directory):
    """Each takes the place of the one before, as an identical file of another name."""
    out = run(net, directory, """
places = set()
for i in range(60):
    plugin = load("ab"[i % 2])
    places.add(ctypes.cast(plugin.ask, ctypes.c_void_p).value)
    print(ask(plugin, make(plugin)), end="")
    unload(plugin)
print("", len(places))
""")
    letters, places = out.split()
    assert letters == "ab" * 30 and int(places) < 10, out


def test_a_forked_child_does_not_wait_for_the_loader(net, directory):
    out = run(net, directory, """
a = load("a")
ssl = make(a)
ask(a, ssl)
done = False
def churn():
    while not done:
        unload(load("b"))
threads = [threading.Thread(target=churn, daemon=True) for _ in range(2)]
for thread in threads: thread.start()
good = 0
for _ in range(150):
    child = os.fork()
    if child == 0:
        os._exit(ask(a, ssl) != "a")
    deadline = time.monotonic() + 5
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.001)
    good += ended == (child, 0)
done = True
print(good)
""", patience=40)
    assert out == "150\n"


def test_threads_find_them_side_by_side(net, directory):
    out = run(net, directory, """
plugins = [load("a"), load("b")]
wrong = []
def work(plugin, letter):
    ssl = make(plugin)
    for _ in range(2000):
        if ask(plugin, ssl) != letter: wrong.append(letter)
threads = [threading.Thread(target=work, args=(plugins[i % 2], "ab"[i % 2])) for i in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(wrong)
""")
    assert out == "[]\n"


READ = """
import socket
plain = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
a = load("a")
ssl = make(a, plain.fileno())
for _ in range(2):
    began = time.monotonic()
    got = a.ask(ssl, ctypes.create_string_buffer(100))
    print(got, errno.errorcode.get(ctypes.get_errno(), "") if got < 0 else "", time.monotonic() - began)
"""


def test_handshake_hidden_in_a_read_of_1_0_2(net, directory):
    """It has no SSL_is_init_finished, and SSL_state in its place."""
    out = run(net, directory, READ, net.serve(tcp.silent).port, TLS_HANDSHAKE=f"{LIMIT}ms")
    first, second = (line.split() for line in out.splitlines())
    assert first[:2] == ["-1", "ETIMEDOUT"] and LIMIT - 1 <= float(first[2]) * 1000 < LIMIT + LATEST, out
    assert second[:2] == ["-1", "ECONNRESET"] and float(second[1 + 1]) < 0.1, out


def test_the_wait_after_it_is_not_the_handshakes(net, directory):
    server = net.serve(lambda connection, stop: (connection.sendall(b"12345"), stop.wait(0.8), connection.sendall(b"hello"),
                                                 connection.sendall(b"x"), stop.wait()))
    out = run(net, directory, READ.replace("range(2)", "range(1)"), server.port, TLS_HANDSHAKE=f"{LIMIT}ms")
    assert out.split()[0] in ("5", "6") and float(out.split()[1]) > 0.7, out


MAKE = """
import socket
plain = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
def tell(call, *arguments):
    began = time.monotonic()
    got = call(*arguments)
    print(got, errno.errorcode.get(ctypes.get_errno(), "") if got < 0 else "", time.monotonic() - began)
"""


def told(out):
    return [(line.split()[0], line.split()[1:-1], float(line.split()[-1])) for line in out.splitlines()]


def test_what_a_version_lacks_does_no_harm(net, directory):
    """SSL_write_ex2 came with 3.3. Our export makes it look there to a weak reference; it fails without a look at the object."""
    code = MAKE + """
for name in "ab":
    plugin = load(name)
    ssl = make(plugin, plain.fileno())
    print(plugin.write_ex2(ssl), end=" ")
"""
    server = net.serve(tcp.draining)
    assert run(net, directory, code, server.port) == "-3 5 "
    assert run(net, directory, code, server.port, library=False) == "-2 5 "


def test_write_ex2_after_an_expiry(net, directory):
    first, second = told(run(net, directory, MAKE + """
b = load("b")
ssl = make(b, plain.fileno())
tell(b.ask, ssl, ctypes.create_string_buffer(100))
tell(b.write_ex2, ssl)
""", net.serve(tcp.silent).port, TLS_HANDSHAKE=f"{LIMIT}ms"))
    assert first[:2] == ("-1", ["ETIMEDOUT"]) and second[0] == "-1" and second[2] < 3, (first, second)


def test_sendfile_that_is_stuck(net, directory):
    """Bounded by progress, as a write is; what follows is refused. (OpenSSL's own needs the kernel's TLS.)"""
    server = net.serve(tcp.silent, receive_buffer=4096)
    first, second, read = told(run(net, directory, MAKE + """
with open(directory + "/zeroes", "wb") as file: file.truncate(50_000_000)
b = load("b")
b.send_zeroes.restype = ctypes.c_long
ssl = make(b, plain.fileno())
file = os.open(directory + "/zeroes", os.O_RDONLY)
tell(b.send_zeroes, ssl, file)
tell(b.send_zeroes, ssl, file)
tell(b.ask, ssl, ctypes.create_string_buffer(100))
""", server.port, SEND=f"{LIMIT}ms"))
    assert LIMIT - 1 <= first[2] * 1000 < LIMIT + 3000, first  # it has sent a part, and says how much
    assert int(second[0]) < 0 and second[2] < 3 and int(read[0]) < 0 and read[2] < 3, (second, read)


def test_handshake_hidden_in_early_data(net, directory):
    ((got, error, took),) = told(run(net, directory, MAKE + """
a = load("a")
tell(a.early, make(a, plain.fileno()), ctypes.create_string_buffer(100))
""", net.serve(tcp.silent).port, TLS_HANDSHAKE=f"{LIMIT}ms"))
    assert (got, error) == ("-1", ["ETIMEDOUT"]) and LIMIT - 1 <= took * 1000 < LIMIT + 3000, (error, took)


# Stands between the program and the library, as Wireshark's key log does, and counts.
WRAPPER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
int wrapped;
int SSL_read(void *ssl, void *buffer, int size) {
    int (*next)(void *, void *, int) = (int (*)(void *, void *, int))dlsym(RTLD_NEXT, "SSL_read");
    wrapped++;
    return next(ssl, buffer, size);
}
"""

WRAPPED = r"""
#include <stdio.h>
struct ssl_st;
struct ssl_st *SSL_new(int fd);
int SSL_read(struct ssl_st *ssl, void *buffer, int size);
extern int wrapped __attribute__((weak));
int main(void) {
    struct ssl_st *ssl = SSL_new(-1);
    char buffer[100];
    int sum = 0;
    for (int i = 0; i < 3; i++)
        sum += SSL_read(ssl, buffer, 100) == 'a';
    printf("%d %d\n", sum, &wrapped ? wrapped : -1);
    return 0;
}
"""


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_a_wrapper_is_not_passed_by(net, directory, tmp_path, first):
    compile_c(WRAPPER, tmp_path / "wrapper.so", "-shared", "-fPIC", "-ldl")
    compile_c(WRAPPED, tmp_path / "wrapped", f"-L{tmp_path}", "-lssl_a", f"-Wl,-rpath,{tmp_path}")
    ours, theirs = programs.environment()["LD_PRELOAD"], str(tmp_path / "wrapper.so")
    order = f"{ours} {theirs}" if first == "ours" else f"{theirs} {ours}"
    result = net.run([tmp_path / "wrapped"], variables={"LD_PRELOAD": order})
    assert result.out == b"3 3\n", result


WEAK = r"""
#include <errno.h>
#include <stdio.h>
int SSL_read(void *, void *, int) __attribute__((weak));
long gnutls_record_recv(void *, void *, unsigned long) __attribute__((weak));
int main(void) {
    char buffer[9];
    int first = SSL_read ? SSL_read(NULL, buffer, 9) : -2, error = errno;
    long second = gnutls_record_recv ? gnutls_record_recv(NULL, buffer, 9) : -2;
    printf("%d %d %ld\n", first, error == ENOSYS, second);
    return 0;
}
"""


def test_without_a_library_a_call_fails(net, tmp_path):
    """Our exports make weak references non-null: whoever takes that for a library is told that the connection is broken."""
    compile_c(WEAK, tmp_path / "weak")
    assert net.run([tmp_path / "weak"]).out == b"-1 1 -54\n"
    assert net.run([tmp_path / "weak"], library=False).out == b"-2 0 -2\n"
