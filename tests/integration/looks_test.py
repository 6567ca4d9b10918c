"""Programs that look whether there is something, again and again, in place of a wait: poll, select and epoll with a timeout of 0."""

import pytest

from faults import tcp

CODE = """
how, pause, seconds, fills = sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), sys.argv[5] == "send"
s = dial()
s.setblocking(False)
if fills:
    fill(s)

def poll():
    p = select.poll()
    p.register(s, select.POLLOUT if fills else select.POLLIN)
    return lambda: p.poll(0)

def epoll():
    e = select.epoll()
    e.register(s, select.EPOLLOUT if fills else select.EPOLLIN)
    return lambda: e.poll(0)

look = {"poll": poll, "epoll": epoll, "select": lambda: lambda: any(select.select([] if fills else [s], [s] if fills else [], [], 0))}[how]()
began, told = time.monotonic(), {}
while not look() and time.monotonic() - began < seconds:
    time.sleep(pause)
told["after"] = time.monotonic() - began
told["call"] = error(lambda: s.send(b"x") if fills else s.recv(1))
tell(told)
"""

HOW = pytest.mark.parametrize("how", ["poll", "select", "epoll"])


def looking(net, how, pause, seconds, kind="recv", **limits):
    server = net.serve(tcp.silent, receive_buffer=4096)
    return net.told(CODE, server.port, how, pause, seconds, kind, **limits)


@HOW
@pytest.mark.parametrize("pause", [0, 0.01])
@pytest.mark.parametrize("kind", ["recv", "send"])
def test_who_looks_all_the_time_waits(net, how, pause, kind):
    answer = looking(net, how, pause, 8, kind, **{kind.upper(): "300ms"})
    assert 0.29 <= answer["after"] < 6 and answer["call"] == "ETIMEDOUT", answer


@HOW
def test_who_looks_now_and_then_does_not(net, how):
    """As a pool of connections looks whether one still stands before it uses it."""
    answer = looking(net, how, 0.25, 2, RECV="300ms")
    assert answer["after"] >= 2 and answer["call"] == "EAGAIN", answer
