"""Waits that ask for neither input nor room, but for urgent data or the end of the other side."""

import pytest

from epoll_test import told
from faults import tcp

WAITS = {
    "poll RDHUP": "poll(select.POLLRDHUP)",
    "poll PRI": "poll(select.POLLPRI)",
    "select except": "select.select([], [], [s], 9)",
    "epoll RDHUP": "watch(select.EPOLLRDHUP)",
    "epoll RDHUP, edge": "watch(select.EPOLLRDHUP | select.EPOLLET)",
    "epoll PRI, once": "watch(select.EPOLLPRI | select.EPOLLONESHOT)",
}

START = """
s = socket.create_connection(("127.0.0.1", port))

def poll(events, timeout=9):
    set = select.poll()
    set.register(s, events)
    return [ready for fd, ready in set.poll(timeout * 1000)]

def watch(events, timeout=9):
    epoll.register(s, events)
    return [ready for fd, ready in epoll.poll(timeout)]

began = time.monotonic()
"""


@pytest.mark.parametrize("limit", ["RECV", "IDLE", "LIFETIME"])
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_a_silent_peer_ends_it(net, wait, limit):
    answer = told(net, f"""{START}
{wait}
told["after"], told["call"] = time.monotonic() - began, error(lambda: s.recv(1))
""", **{limit: "300ms"})
    assert 0.2 <= answer["after"] < 6 and answer["call"] == "ETIMEDOUT", answer


@pytest.mark.parametrize("wait, ready", [("poll(select.POLLRDHUP)", [0x2000]), ("watch(select.EPOLLRDHUP)", [0x2000])])
def test_the_end_is_shown(net, wait, ready):
    answer = told(net, f"""{START}
told["ready"], told["call"] = {wait}, error(lambda: s.recv(1))
""", net.serve(tcp.after(0.1, lambda *_: None)), RECV="8s", IDLE="8s")
    assert answer == {"ready": ready, "call": "b''"}, answer


@pytest.mark.parametrize("wait", ["poll(select.POLLOUT | select.POLLRDHUP, 1.5)", "select.select([], [s], [s], 1.5)",
                                  "watch(select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET, 1.5)[1:]"])
def test_who_waits_for_room_does_not_wait_for_an_answer(net, wait):
    """The window of a reader that pauses is closed for longer than RECV."""
    answer = told(net, f"""{START}
s.setblocking(False)
try:
    while True:
        s.send(bytes(65536))
except BlockingIOError:
    pass
{wait}
told["call"] = error(lambda: s.recv(1))
""", net.serve(tcp.silent, receive_buffer=4096), RECV="300ms")
    assert answer == {"call": "EAGAIN"}, answer
