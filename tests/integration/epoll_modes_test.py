"""The ways an epoll registration can differ: the kernel's results are as ever, and an expiry wakes each."""

import pytest

from epoll_test import LIMIT, told
from faults import tcp

MODES = """
import threading
IN, OUT, ET, ONE, ALONE = select.EPOLLIN, select.EPOLLOUT, select.EPOLLET, select.EPOLLONESHOT, select.EPOLLEXCLUSIVE
other = select.epoll()
"""

RESULTS = MODES + """
s = dialled(IN | ALONE)
def masks(seconds, of=epoll):
    return [events for fd, events in of.poll(seconds)]
told["exclusive"] = [error(lambda: epoll.modify(s, IN)), error(lambda: epoll.register(s, IN)),
                     error(lambda: other.register(s, IN | ALONE | ONE)), error(lambda: other.register(s, IN | ALONE)),
                     error(lambda: other.register(epoll, IN | ALONE)), masks(0.05)]
s.send(b"a")
told["both"] = [masks(2), masks(2, other), masks(0.05), error(lambda: s.recv(9)), masks(0.05), masks(0.05, other)]
epoll.unregister(s)
other.unregister(s)
epoll.register(s, IN | OUT | ET)
told["edge"] = [masks(2), masks(0.05)]
s.send(b"b")
time.sleep(0.2)
told["edge again"] = [masks(2)[:1], masks(0.05), error(lambda: s.recv(9)), masks(0.05)]
epoll.modify(s, IN | ONE)
s.send(b"c")
told["once"] = [masks(2), masks(0.05)]
epoll.modify(s, IN | ONE | ET)
told["once more"] = [masks(2), masks(0.05), error(lambda: s.recv(9)), masks(0.05)]
"""


@pytest.mark.parametrize("limits", [{}, dict.fromkeys(["RECV", "SEND", "IDLE", "LIFETIME", "UNACKED"], "15s")],
                         ids=["defaults", "limits"])
def test_results_are_the_kernels(net, limits):
    server = net.serve(tcp.echo)
    without, under = (told(net, RESULTS, server, library=library, **limits) for library in (False, True))
    assert under == without and without["exclusive"][0] == "EINVAL", (without, under)


@pytest.mark.parametrize("flags", ["ALONE", "ALONE | ET", "ET", "ONE", "ET | ONE"])
def test_an_expiry_wakes(net, flags):
    answer = told(net, MODES + f"""
s = dialled(IN | {flags})
told["after"], told["calls"] = wait(3), [error(lambda: s.recv(1)), error(lambda: s.recv(1))]
""", RECV="300ms")
    assert answer["after"] and LIMIT <= answer["after"] < LIMIT + 0.7, answer
    assert answer["calls"] == ["ETIMEDOUT", "ECONNRESET"], answer


@pytest.mark.parametrize("flags", ["ALONE", "ET"])
def test_an_expiry_wakes_the_other_set(net, flags):
    """The same connection in the set of another thread, which waits on."""
    answer = told(net, MODES + f"""
s = dialled(IN | {flags})
other.register(s, IN | {flags})
woken = []
threads = [threading.Thread(target=lambda each=each: woken.append(bool(each.poll(3)))) for each in (epoll, other)]
began = time.monotonic()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
told["woken"], told["after"], told["call"] = woken, time.monotonic() - began, error(lambda: s.recv(1))
""", RECV="300ms")
    assert answer["woken"] == [True, True] and LIMIT <= answer["after"] < LIMIT + 0.7 and answer["call"] == "ETIMEDOUT", answer
