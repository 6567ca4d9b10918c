"""The wait clock in epoll: what is ended, and what is left alone."""

import json

import pytest

import programs
from faults import tcp

LIMIT = 0.3

# Runs `body` with these names and prints what it put into `told`.
CLIENT = """
import errno, json, os, select, socket, sys, threading, time
port, told = int(sys.argv[1]), {}
epoll = select.epoll()

def dial(flags=select.EPOLLIN, address=("127.0.0.1", port)):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(address)
    epoll.register(s, flags)
    return s

def dialled(flags=select.EPOLLIN):
    s = socket.create_connection(("127.0.0.1", port))
    s.setblocking(False)
    epoll.register(s, flags)
    return s

def wait(seconds, until=None):
    began = time.monotonic()
    while (left := seconds - (time.monotonic() - began)) > 0:
        events = epoll.poll(left)
        if events and (until is None or any(fd == until.fileno() for fd, _ in events)):
            return time.monotonic() - began
    return None

def error(call):
    try:
        return repr(call())
    except OSError as e:
        return errno.errorcode[e.errno]
"""


def told(net, body, server=None, **limits):
    server = server or net.serve(tcp.silent)
    code = CLIENT + body + "\nprint(json.dumps(told))"
    result = net.run([programs.PYTHON, "-c", code, server.port], **limits)
    assert result.status == 0, result
    return json.loads(result.out)


def test_the_only_connection_is_ended(net):
    """Beside a pipe that keeps waking the wait."""
    answer = told(net, """
s = dialled()
r, w = os.pipe()
epoll.register(r, select.EPOLLIN)
threading.Thread(target=lambda: [(time.sleep(0.02), os.write(w, b"x")) for _ in range(100)], daemon=True).start()
began = time.monotonic()
told["after"] = None
while time.monotonic() - began < 2 and told["after"] is None:
    for fd, _ in epoll.poll(1):
        if fd == r:
            os.read(r, 100)
        else:
            told["after"] = time.monotonic() - began
told["calls"] = [error(lambda: s.recv(1)), error(lambda: s.recv(1)), error(lambda: s.send(b"x")), error(lambda: s.send(b"x"))]
""", RECV="300ms")
    assert LIMIT <= answer["after"] < LIMIT + 0.5, answer
    assert answer["calls"] == ["ETIMEDOUT", "ECONNRESET", "ETIMEDOUT", "EPIPE"]


@pytest.mark.parametrize("flags", ["EPOLLIN", "EPOLLIN | select.EPOLLOUT | select.EPOLLET"])
def test_short_waits_add_up(net, flags):
    answer = told(net, f"""
s = dialled(select.{flags})
epoll.poll(0.01)
began = time.monotonic()
while not epoll.poll(0.05) and time.monotonic() - began < 2:
    pass
told["after"] = time.monotonic() - began
""", RECV="300ms")
    assert LIMIT - 0.05 <= answer["after"] < LIMIT + 0.5, answer


def test_of_several_only_the_one_that_owes(net):
    answer = told(net, """
several = [dialled() for _ in range(5)]
time.sleep(0.05)
told["idle"] = wait(0.8)
several[3].send(b"a question")
told["after"] = wait(2, several[3])
told["others"] = [error(lambda: s.recv(1)) for s in several if s is not several[3]]
told["it"] = error(lambda: several[3].recv(1))
""", RECV="300ms")
    assert answer["idle"] is None and LIMIT - 0.01 <= answer["after"] < LIMIT + 0.6, answer
    assert answer["others"] == ["EAGAIN"] * 4 and answer["it"] == "ETIMEDOUT", answer


def test_pending_connect(net):
    answer = told(net, f"""
s = dial(select.EPOLLOUT, ("{net.blackhole()}", 80))
told["after"] = wait(3)
told["error"] = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ETIMEDOUT
told["again"] = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
""", CONNECT="300ms")
    assert LIMIT - 0.01 <= answer["after"] < LIMIT + 0.5 and answer["error"] and answer["again"] == 0, answer


def test_no_room(net):
    answer = told(net, """
s = dialled(select.EPOLLOUT)
try:
    while True:
        s.send(bytes(65536))
except BlockingIOError:
    pass
told["after"] = wait(3)
told["it"] = error(lambda: s.send(b"x"))
""", net.serve(tcp.silent, receive_buffer=4096), SEND="300ms")
    assert LIMIT <= answer["after"] < LIMIT + 0.7 and answer["it"] == "ETIMEDOUT", answer


ALIVE = {"default settings": {}, "other limits": {"CONNECT": "200ms", "SEND": "200ms", "UNACKED": "200ms"}}


@pytest.mark.parametrize("limits", ALIVE.values(), ids=ALIVE)
def test_idle_connections_live(net, limits):
    answer = told(net, """
s = dialled(select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
t = dialled()
epoll.poll(0.1)
told["idle"] = wait(1.5)
told["calls"] = [error(lambda: s.recv(1)), error(lambda: s.send(b"x")), error(lambda: t.recv(1))]
""", **limits)
    assert answer == {"idle": None, "calls": ["EAGAIN", "1", "EAGAIN"]}


def test_one_shot_in_work_is_left_alone(net):
    answer = told(net, """
s = dialled(select.EPOLLIN | select.EPOLLONESHOT)
told["idle"] = wait(0.8)
told["it"] = error(lambda: s.recv(1))
""", RECV="300ms")
    assert answer == {"idle": None, "it": "EAGAIN"}


def test_the_program_s_own_timeout(net):
    answer = told(net, """
s = dialled()
began = time.monotonic()
told["events"] = len(epoll.poll(0.2))
told["after"] = time.monotonic() - began
""", RECV="5s")
    assert answer["events"] == 0 and 0.2 <= answer["after"] < 0.35, answer
