"""The real function is found for the module that calls. Two small libraries stand in for two versions of OpenSSL, the older of
which (1.0.2) lacks much: each has its own objects, and a read of the wrong one's says so."""

import subprocess

import pytest

import programs
from calls import LATEST, LIMIT
from faults import tcp

LIBRARY = r"""
#include <stddef.h>
#include <stdlib.h>
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
"""

PLUGIN = r"""
struct ssl_st;
struct ssl_st *SSL_new(int fd);
int SSL_read(struct ssl_st *ssl, void *buffer, int size);
struct ssl_st *make(int fd) { return SSL_new(fd); }
int ask(struct ssl_st *ssl, char *buffer) { volatile int got = SSL_read(ssl, buffer, 100); return got; }
int ask_by_tail(struct ssl_st *ssl, char *buffer) { return SSL_read(ssl, buffer, 100); } /* a jump: the caller's caller is seen */
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
        compile_c(LIBRARY, tmp_path / f"libssl_{name}.so", "-shared", "-fPIC", f'-DNAME="{name}"')
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
