"""Calls that a signal or the program's own timeout ends, and that the program makes again: what they waited adds up."""

import contextlib
import socket

import pytest

from calls import at, make
from faults import tcp

LIMIT = 0.3

PROGRAM = """
how, patience = sys.argv[2], float(sys.argv[3])
s = dial()
fine = tries = 0

def make(call):
    global tries
    began = time.monotonic()
    while time.monotonic() - began < patience:
        try:
            tries += 1
            return repr(call()), time.monotonic() - began
        except (InterruptedError, BlockingIOError):
            continue
        except OSError as e:
            return errno.errorcode[e.errno], time.monotonic() - began
    return "still waiting", time.monotonic() - began

def interrupt(*_):
    raise InterruptedError

if how.startswith("own"):
    for name in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        s.setsockopt(socket.SOL_SOCKET, name, timeval(0.1))
else:
    signal.signal(signal.SIGALRM, interrupt if how.endswith("visible") else lambda *_: None)
    signal.siginterrupt(signal.SIGALRM, True)

def tick():
    if not how.startswith("own"):
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)

said = heard = None
if "send" in sys.argv[4:]:
    s.setblocking(False)
    for size in (1 << 16, 1024, 1, 1):
        try:
            while True:
                s.send(bytes(size))
        except BlockingIOError:
            time.sleep(0.05)
    s.setblocking(True)
    if how.startswith("own"):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval(0.1))
    tick()
    until = time.monotonic() + patience
    while (said := make(lambda: s.send(b"more")))[0].isdigit() and time.monotonic() < until:
        pass # the kernel found room for a little more
else:
    tick()
    for question in range(int(sys.argv[4])):
        s.send(b"question")
        heard = make(lambda: s.recv(100))
    if sys.argv[4] == "0":
        heard = make(lambda: s.recv(100))
signal.setitimer(signal.ITIMER_REAL, 0)
tell([said or heard, tries])
"""


def ask(net, how, behaviour, *what, **limits):
    server = net.serve(behaviour, receive_buffer=2048)
    (outcome, seconds), tries = net.told(PROGRAM, server.port, how, 6, *what, **limits)
    return outcome, seconds, tries


HOWS = ["interrupted", "interrupted-visible", "own"]


@pytest.mark.parametrize("how", HOWS)
def test_receiving(net, how):
    outcome, seconds, _ = ask(net, how, tcp.silent, 0, RECV="300ms")
    assert outcome == "ETIMEDOUT" and LIMIT - 0.02 <= seconds < LIMIT + 3, (outcome, seconds)


@pytest.mark.parametrize("how", HOWS)
def test_sending(net, how):
    outcome, seconds, _ = ask(net, how, tcp.silent, "send", SEND="300ms")
    assert outcome == "ETIMEDOUT" and LIMIT - 0.02 <= seconds < LIMIT + 3, (outcome, seconds)


@pytest.mark.musl
@pytest.mark.parametrize("ends", ["alarm:50:no", "set:rcvtimeo:80", "set:sndtimeo:80"])
def test_in_c(net, ends):
    """As above, without what Python does between the calls."""
    sends = "sndtimeo" in ends
    server = net.open(tcp.never_reads) if sends else net.serve(tcp.silent)
    tries = make(net, at(server), *(["fill"] if sends else []), ends, *["send" if sends else "recv"] * 20, RECV="300ms", SEND="300ms")[2 + sends:]
    late = [call.errno for call in tries].index("ETIMEDOUT")
    assert late >= 2 and LIMIT - 0.02 <= sum(call.ms for call in tries[:late + 1]) / 1000 < LIMIT + 3, tries


# Not where the handler raises an error: it may do so after the answer has been taken, and that is lost.
@pytest.mark.parametrize("how", ["interrupted", "own"])
def test_answers_that_come_in_time(net, how):
    """Each takes its part of the limit, and all of them together more than that."""

    def late(connection, stop):
        while connection.recv(100) and not stop.wait(0.25):
            connection.sendall(b"answer")

    outcome, _, tries = ask(net, how, late, 8, RECV="1s")
    assert outcome == "b'answer'" and (how == "interrupted" or tries > 8), (outcome, tries)


@pytest.fixture
def full(tmp_path):
    """Paths of two AF_UNIX listeners that have no room for another connection."""
    with contextlib.ExitStack() as stack:
        paths = [str(tmp_path / name) for name in "ab"]
        for path in paths:
            listener, filler = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
            listener.bind(path)
            listener.listen(0)
            filler.connect(path)
        yield paths


@pytest.mark.musl
@pytest.mark.parametrize("ends", ["alarm:50:no", "set:sndtimeo:80"])
def test_connecting(net, full, ends):
    """An AF_UNIX connect leaves no attempt behind: what it waited is all there is."""
    tries = make(net, "connect:/nowhere", ends, *[f"again:{full[0]}"] * 30, CONNECT="300ms")[2:]
    late = [call.errno for call in tries].index("ETIMEDOUT")
    waited = sum(call.ms for call in tries[:late + 1]) / 1000
    assert LIMIT - 0.02 <= waited < LIMIT + 3, tries
    assert {"EINTR", "EAGAIN"} & {call.errno for call in tries[late + 1:]}, "it is a new beginning"


@pytest.mark.musl
def test_connecting_to_another(net, full):
    """What was waited for one address is not the other's."""
    second = make(net, "connect:/nowhere", "set:sndtimeo:1000", *(f"again:{path}" for path in full), CONNECT="1900ms")[-1]
    assert second.errno == "EAGAIN", second


def test_a_later_question_has_the_whole_limit(net):
    """What was waited before it was asked does not count."""
    program = PROGRAM.replace('s.send(b"question")', """
patience = 0.7
make(lambda: s.recv(100))
patience = 6
s.send(b"question")""".replace("\n", "\n        "))
    server = net.serve(tcp.late_answer(0.6, b"answer"))
    (outcome, _), _ = net.told(program, server.port, "own", 6, 1, RECV="1s")
    assert outcome == "b'answer'"


def test_datagrams(net):
    """A lost answer; a second question has the whole limit again."""
    program = PROGRAM.replace("dial()", 'udp()\ns.connect(("127.0.0.1", int(sys.argv[1])))')
    with net.inside():
        server = tcp.socket.socket(type=tcp.socket.SOCK_DGRAM)
    with server:
        server.bind(("127.0.0.1", 0))
        (outcome, seconds), _ = net.told(program, server.getsockname()[1], "interrupted", 6, 2, RECV="300ms")
    assert outcome == "ETIMEDOUT" and LIMIT - 0.02 <= seconds < LIMIT + 3, (outcome, seconds)


RETRIES = """
there = "127.0.0.1", int(sys.argv[1])
s = udp()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(0.7))
if sys.argv[2] == "connected":
    s.connect(there)
told = []
for _ in range(3):
    s.send(b"question") if sys.argv[2] == "connected" else s.sendto(b"question", there)
    told.append(error(s.recv, 100))
tell(told)
"""


@pytest.mark.parametrize("how", ["connected", "unconnected"])
def test_who_asks_again_has_the_whole_limit(net, how):
    """A client of datagrams that tries again after a shorter timeout of its own, each time with a question."""
    with net.inside():
        server = socket.socket(type=socket.SOCK_DGRAM)
    with server:
        server.bind(("127.0.0.1", 0))
        assert net.told(RETRIES, server.getsockname()[1], how, RECV="1s") == ["EAGAIN"] * 3
