"""The ways an epoll registration can differ: the kernel's results are as ever, and an expiry wakes each."""

import pytest

from epoll_test import LIMIT, told
from faults import tcp

MODES = """
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
select.select([s], [], [], 3)  # of two exclusive sets what comes during a wait in one marks only that
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
told["after"], told["calls"] = wait(9), [error(lambda: s.recv(1)), error(lambda: s.recv(1))]
""", RECV="300ms")
    assert answer["after"] and LIMIT <= answer["after"] < 5, answer
    assert answer["calls"] == ["ETIMEDOUT", "ECONNRESET"], answer


@pytest.mark.parametrize("flags", ["ALONE", "ALONE | ET", "ET", "0"])
def test_an_expiry_wakes_the_other_sets(net, flags):
    """The same connection in the sets of other threads, which wait on: their own clocks began later."""
    answer = told(net, MODES + f"""
began = time.monotonic()
s = dialled(IN | {flags})
sets = [epoll, other, select.epoll()]
for each in sets[1:]:
    each.register(s, IN | {flags})
woken = []  # of three clocks that ran at a time the kernel's, since the connection was made, is what counts
threads = [threading.Thread(target=lambda each=each: woken.append(bool(each.poll(9)))) for each in sets]
for thread in threads:
    thread.start()
    time.sleep(0.1)
for thread in threads:
    thread.join()
told["woken"], told["after"], told["call"] = woken, time.monotonic() - began, error(lambda: s.recv(1))
""", RECV="500ms")
    assert answer["woken"] == [True] * 3 and 0.4 <= answer["after"] < 5 and answer["call"] == "ETIMEDOUT", answer


def test_a_connection_made_anew_after_an_expiry(net):
    """What woke the sets leaves nothing behind on the descriptor."""
    answer = told(net, MODES + """
s = dialled(IN | ALONE)
told["woken"], told["recv"] = bool(epoll.poll(9)), error(lambda: s.recv(1))
s.setblocking(True)
told["again"] = [error(lambda: s.connect(("127.0.0.1", port))), error(lambda: s.send(b"hello")), error(lambda: s.recv(5))]
""", net.serve(tcp.echo), RECV="300ms")
    assert answer == {"woken": True, "recv": "ETIMEDOUT", "again": ["None", "5", "b'hello'"]}, answer


COPIES = {
    "both": "copy = select.epoll.fromfd(os.dup(epoll.fileno()))",
    "the first is closed": "copy = select.epoll.fromfd(os.dup(epoll.fileno())); epoll.close()",
    "moved by fcntl": "copy = select.epoll.fromfd(fcntl.fcntl(epoll.fileno(), fcntl.F_DUPFD, 50)); epoll.close()",
    "the first is replaced": "copy = select.epoll.fromfd(os.dup(epoll.fileno())); os.dup2(0, epoll.fileno())",
    "of three": "second = os.dup(epoll.fileno()); copy = select.epoll.fromfd(os.dup(second)); epoll.close(); os.close(second)",
    "then added to": "copy = select.epoll.fromfd(os.dup(epoll.fileno())); epoll.close(); copy.unregister(s); copy.register(s, IN)",
    "in a set": "inner = os.dup(epoll.fileno()); copy = other; copy.register(inner, IN); epoll.close()",
    "moved in a set": "copy = other; copy.register(epoll, IN); inner = os.dup(epoll.fileno()); epoll.close()",
}


@pytest.mark.parametrize("copies", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("first", ["s = dialled(IN)", "s = None"], ids=["before", "after"])
def test_a_copy_of_the_descriptor_is_the_same_set(net, copies, first):
    if first == "s = None":
        if "unregister" in copies or " = other" in copies or "of_three" in copies:
            pytest.skip("needs it before")
        copies += "; epoll = copy; s = dialled(IN)"
    answer = told(net, MODES + f"""
{first}
{copies}
began = time.monotonic()
told["woken"], told["after"], told["call"] = bool(copy.poll(9)), time.monotonic() - began, error(lambda: s.recv(1))
""", RECV="300ms")
    assert answer["woken"] and 0.25 <= answer["after"] < 6 and answer["call"] == "ETIMEDOUT", answer


@pytest.mark.parametrize("which", range(4))
def test_a_connection_in_four_sets(net, which):
    answer = told(net, MODES + f"""
s = dialled(IN)
sets = [epoll, other, select.epoll(), select.epoll()]
for each in sets[1:]:
    each.register(s, IN)
began = time.monotonic()
told["woken"], told["after"], told["call"] = bool(sets[{which}].poll(9)), time.monotonic() - began, error(lambda: s.recv(1))
""", RECV="300ms")
    assert answer["woken"] and 0.25 <= answer["after"] < 6 and answer["call"] == "ETIMEDOUT", answer
