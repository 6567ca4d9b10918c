"""A handshake whose answer came while the process was stopped, and whose time was up when it goes on: what lies there decides."""

import signal
import socket
import struct
import threading
import time

import pytest

import programs
from faults import good, tcp, tls
from tlscalls import TLS, parse

LIMIT = 0.6
BYTES_ACKED = 120  # in struct tcp_info


class Answers:
    """A server that answers a handshake when it is told to, as `behaviour`."""

    def __init__(self, behaviour):
        self.behaviour, self.asked, self.go, self.connection = behaviour, threading.Event(), threading.Event(), None

    def __call__(self, connection, stop):
        connection.recv(1, socket.MSG_PEEK)
        self.connection = connection
        self.asked.set()
        self.go.wait(20)
        self.behaviour(connection, stop)

    def answer(self, size):
        """Lets it answer; returns when `size` bytes lie at the other side."""
        connection = socket.socket(fileno=socket.dup(self.connection.fileno()))
        with connection:
            self.go.set()
            for _ in range(1500):
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 200)
                if struct.unpack_from("Q", info, BYTES_ACKED)[0] >= size:
                    return
                time.sleep(0.01)
        raise AssertionError("the server has not answered")


def stopped(net, library, way, behaviour, size, *steps):
    """Makes the calls; the answer to the handshake comes while the process is stopped, which goes on past the limit."""
    server = Answers(behaviour)
    program = net.start([TLS, library, way, net.serve(server).port, *steps], TLS_HANDSHAKE=f"{LIMIT * 1000:.0f}ms")
    assert server.asked.wait(20)
    program.signal(signal.SIGSTOP)
    server.answer(size)
    time.sleep(1.5 * LIMIT)
    program.signal(signal.SIGCONT)
    result = program.finish()
    assert result.status == 0 and not result.cut, result
    return parse(result)


# GnuTLS asks to be called again while there is more to read, which an edge-triggered set does not tell twice.
@pytest.mark.parametrize(("library", "way"),
                         [(library, way) for library in ("openssl", "own", "gnutls") for way in ("block", "poll", "select", "epoll", "edge")
                          if (library, way) != ("gnutls", "edge")])
def test_an_answer_that_lies_there_is_taken(net, library, way):
    handshake, recv = stopped(net, library, way, tls.over_tls(good.saying(b"hello")), 700, "handshake", "recv")
    handshake.expect_done()
    assert handshake.ms > LIMIT * 1000, handshake
    assert recv.result == 5, recv


@pytest.mark.parametrize("way", ["block", "poll", "select", "epoll", "edge"])
def test_a_part_of_an_answer_ends_it(net, way):
    """What lies there is read, and is not enough: the time is up."""
    (handshake,) = stopped(net, "openssl", way, tcp.greeting(b"\x16\x03\x03\x00\xc8\x02\x00\x00\xc4\x03\x03"), 11, "handshake")
    assert handshake.result < 0 and handshake.errno == "ETIMEDOUT", handshake
    assert handshake.ms < 15_000, handshake


# Begins a handshake, takes the event of what came, reads nothing, and waits again in an edge-triggered set.
NOT_READ = """
import ssl
plain = dial()
plain.setblocking(False)
secure = tls(plain, do_handshake_on_connect=False)
began = time.monotonic()
with contextlib.suppress(ssl.SSLWantReadError):
    secure.do_handshake()
dial().sendall(b"go")
epoll = select.epoll()
epoll.register(secure, select.EPOLLIN | select.EPOLLET)
print(epoll.poll(5) != [])
print(epoll.poll(20) != [], time.monotonic() - began)
try:
    secure.do_handshake()
except OSError as error:
    print(type(error).__name__)
"""


def test_who_does_not_read_is_ended_all_the_same(net):
    """Bytes that the edge-triggered set has told of before will not wake it again."""
    go = threading.Event()

    def behaviour(connection, stop):
        if connection.recv(65536) == b"go":
            return go.set()
        go.wait(20)
        connection.sendall(b"\x16\x03")
        stop.wait()

    result = net.run(programs.child(NOT_READ, net.serve(behaviour).port), TLS_HANDSHAKE=f"{LIMIT * 1000:.0f}ms", patience=30)
    first, second, error = result.out.decode().splitlines()
    assert first == "True" and second.startswith("True") and error != "SSLWantReadError", result
    assert LIMIT <= float(second.split()[1]) < 10, result
