"""A non-blocking connect whose end no wait has told: the connection is bounded all the same."""

import pytest

from calls import LIMIT, at, make
from faults import tcp

CODE = """
port, how, ask = int(sys.argv[1]), *sys.argv[2:]
s = socket.socket()
s.setblocking(False)
s.connect_ex(("127.0.0.1", port))
time.sleep(0.1)

def one_set():  # for room and for exceptions, as Perl's IO::Socket::IP does: the kernel leaves of it what the latter are
    bits = (ctypes.c_ulong * 16)()
    bits[s.fileno() // 64] = 1 << s.fileno() % 64
    ready = libc.select(s.fileno() + 1, None, ctypes.byref(bits), ctypes.byref(bits), ctypes.byref((ctypes.c_long * 2)(0, 0)))
    return ready, list(bits) == [0] * 16

wait = {"nothing": lambda: True, "select": lambda: select.select([], [s], [s], 0) == ([], [s], []), "one set": lambda: one_set() == (1, True)}
told = {"wait": wait[how]() if how in wait else ready(how, s, select.POLLOUT, 0) == [(s.fileno(), select.POLLOUT)]}
if ask == "SO_ERROR":
    told["error"] = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
s.setblocking(True)
began = time.monotonic()
try:
    while time.monotonic() - began < 5:
        s.recvfrom(100)
except OSError as error:
    told["end"] = errno.errorcode[error.errno]
tell(told)
"""


@pytest.mark.parametrize("ask", ["SO_ERROR", "nothing"])
@pytest.mark.parametrize("how", ["nothing", "select", "one set", "poll", "epoll"])
def test_the_next_calls_are_bounded(net, how, ask):
    server = net.serve(tcp.drip(b"x" * 1000, 0.05))
    answer = net.told(CODE, server.port, how, ask, MIN_RATE="100/300ms")
    assert answer["wait"] is True and answer.get("error", 0) == 0 and answer.get("end") == "ETIMEDOUT", answer


@pytest.mark.parametrize("connect", ["5s", "off"])
@pytest.mark.parametrize("limit", ["RECV", "IDLE", "LIFETIME"])
@pytest.mark.parametrize("first", [[], ["sleep:50"], ["send"]], ids=["at-once", "later", "sent"])
@pytest.mark.parametrize("wait", ["poll:in", "polls:in:50", "sysppoll:in", "select:in", "sysepoll:in"])
def test_a_wait_for_input_alone(net, wait, first, limit, connect):
    """The kernel does not wake it when the connection is established: the limits of that hold from then on all the same."""
    silent = net.serve(tcp.silent)
    *_, waited, receive = make(net, at(silent, "start"), *first, wait, "recv", CONNECT=connect, **{limit: f"{LIMIT}ms"})
    assert waited.result == 1 and waited.ms < LIMIT + 1500, waited
    receive.expect_refused_at_once()
    assert receive.errno == "ETIMEDOUT", receive


@pytest.mark.parametrize("wait", ["poll:in", "select:in", "sysepoll:in"])
def test_an_answer_after_the_connects_time(net, wait):
    late = net.serve(tcp.after(1, tcp.greeting(b"hello")))
    *_, waited, receive = make(net, at(late, "start"), wait, "recv", CONNECT=f"{LIMIT}ms", RECV="5s", IDLE="5s", LIFETIME="20s")
    assert waited.result == 1 and receive.more == "hello", (waited, receive)


@pytest.mark.parametrize("call", ["recv", "read", "send", "writev", "sendmsg"])
def test_a_blocking_call_while_it_is_pending(net, call):
    """CONNECT bounds it, by what is left of it."""
    *_, waited, then = make(net, f"start:{net.blackhole()}:80", "block", call, "recv", CONNECT=f"{LIMIT}ms", LOG="stderr")
    waited.expect_expired(LIMIT - 50)
    then.expect_refused_at_once()
