"""A peer that is gone ends every wait: UNACKED one that never acknowledged what it was sent, KEEPALIVE one that has and fell silent. One that
lives is never cut."""

import json
import socket
import subprocess
import threading

import pytest

import programs
from faults import tcp, tls
from tlscalls import LIBRARIES, TLS, parse

WAITS = {
    "recv": "s.recv(1)",
    "read": "os.read(s.fileno(), 1)",
    "recvmsg": "s.recvmsg(1)",
    "waitall": "s.recv(10, socket.MSG_WAITALL)",
    "peek at all": "s.recv(10, socket.MSG_PEEK | socket.MSG_WAITALL)",
    "poll": "polls(None)",
    "short polls": "polls(100)",
    "poll for input, beside one for space": "polls_beside_space()",
    "select": "select.select([s], [], []) and s.recv(1)",
    "epoll": "epolls(select.EPOLLIN)",
    "epoll, edge": "epolls(select.EPOLLIN | select.EPOLLET)",
    "short epolls": "epolls(select.EPOLLIN, 0.1)",
    "own timeout": "s.settimeout(30) or s.recv(1)",
    "short own timeouts": "own_timeouts()",
    "short selects, without blocking": "s.setblocking(False) or selects()",
    "short epolls, without blocking": "s.setblocking(False) or epolls(select.EPOLLIN, 0.1)",
    "recvmmsg": "recvmmsg(None)",
    "recvmmsg, with a timeout": "recvmmsg(ctypes.byref((ctypes.c_long * 2)(30, 0)))",
    "splice": "splice()",
    "TLS": "secure.recv(1)",
}

TIMED_OUT = ("ETIMEDOUT", "EIO")  # SSLSyscallError has the number of SSL_ERROR_SYSCALL

# Sends the question when it is told to, and waits for the answer.
ASKER = """
s = dial()
plain, secure = s, None
if "secure" in {wait!r}:
    s = secure = tls(s)

def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result

def recvmmsg(timeout):
    text = ctypes.create_string_buffer(1)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(text), 1)
    message = (ctypes.c_size_t * 8)(0, 0, ctypes.addressof(vector), 1)
    checked(libc.recvmmsg(s.fileno(), message, 1, 0, timeout))
    return text.raw

def observed(waiter, events, timeout):
    waiter.register(s, events)
    return waiter.poll(timeout)

def splice():
    r, w = os.pipe()
    return os.read(r, checked(libc.splice(s.fileno(), None, w, None, ctypes.c_size_t(1), 0)))

def polls(timeout):
    set = select.poll()
    set.register(s, select.POLLIN)
    while not set.poll(timeout):
        pass
    return s.recv(1)

def polls_beside_space():
    set, beside = select.poll(), s.dup()
    set.register(s, select.POLLIN)
    set.register(beside, select.POLLOUT)
    while s.fileno() not in dict(set.poll()):
        time.sleep(0.01)
    return s.recv(1)

def selects():
    while not select.select([s], [], [], 0.1)[0]:
        pass
    return s.recv(1)

def own_timeouts():
    s.settimeout(0.2)
    while True:
        try:
            return s.recv(1)
        except TimeoutError as late:
            if late.errno:
                raise

def epolls(events, timeout=None):
    set = select.epoll()
    set.register(s, events)
    while not set.poll(timeout):
        pass
    return s.recv(1)

print("connected", flush=True)
sys.stdin.readline()
s.sendall(b"question")
print(json.dumps(timed(lambda: error(lambda: {wait}))), flush=True)
"""


def serve(net, wait, behaviour):
    return net.serve(tls.over_tls(behaviour) if "secure" in wait else behaviour)


class Asker:
    def __init__(self, net, server, wait, **limits):
        code = ASKER.replace("{wait!r}", repr(wait)).replace("{wait}", wait)
        self.program = net.start(programs.child(code, server.port), stdin=subprocess.PIPE, LOG="stderr", **limits)
        assert self.program.process.stdout.readline() == b"connected\n"

    def answer(self):
        """The result of the wait, how long it took, and what the library reported."""
        result = self.program.finish(input=b"\n")
        assert result.status == 0 and result.out, result
        return *json.loads(result.out), result.err


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_never_acknowledged(net, wait):
    server = serve(net, wait, tcp.silent)
    asker = Asker(net, server, wait, UNACKED="1s", KEEPALIVE="off")
    net.drop(f"tcp dport {server.port}")
    result, seconds, log = asker.answer()
    assert result in TIMED_OUT and 0.9 <= seconds < 6 and b"limit=UNACKED" in log, (result, seconds, log)


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_gone_after_it_has_acknowledged(net, wait):
    """The probes of KEEPALIVE=1s find it out within UNACKED."""
    server = serve(net, wait, tcp.silent)
    asker = Asker(net, server, wait, UNACKED="1s", KEEPALIVE="1s")
    threading.Timer(0.3, net.drop, [f"tcp dport {server.port}"]).start()
    result, seconds, log = asker.answer()
    assert result in TIMED_OUT and 1 <= seconds < 8, (result, seconds, log)
    assert b"limit=KEEPALIVE timeout=1s" in log and f"peer=127.0.0.1:{server.port}".encode() in log, log


@pytest.mark.parametrize("wait, operation, ending", [
    ("s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(2)) or s.recv(1)", "recv", "EAGAIN"),
    ("observed(select.poll(), select.POLLIN, 2500)", "poll", "[]"),
    ("observed(select.epoll(), select.EPOLLIN, 2.5)", "epoll_wait", "[]")], ids=["recv", "poll", "epoll"])
def test_observed(net, wait, operation, ending):
    """A wait that ends at the program's own timeout, while the peer acknowledges nothing."""
    server = net.serve(tcp.silent)
    asker = Asker(net, server, wait, UNACKED="1s", MODE="observe")
    net.drop(f"tcp dport {server.port}")
    result, seconds, log = asker.answer()
    assert result == ending and 2 <= seconds < 8 and f"operation={operation} ".encode() in log and b"limit=UNACKED" in log, (result, log)
    assert b"observed=true" in log, log


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_a_slow_server_is_waited_for(net, wait):
    """For many times UNACKED and KEEPALIVE: its kernel acknowledges."""
    server = serve(net, wait, tcp.after(3.2, tcp.greeting(b"x" * 10)))
    result, seconds, log = Asker(net, server, wait, UNACKED="300ms", KEEPALIVE="1s").answer()
    assert result.startswith(("b'x", "(b'x")) and seconds >= 3 and not log, (result, seconds, log)


# Whatever brings data to the server's port; acknowledgements pass.
DATA = "tcp dport {port} ip length > 60"


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("steps", [["handshake"], ["handshake", "recv", "send", "recv"], ["handshake", "recv", "send", "bye"]],
                         ids=["handshake", "read", "shutdown"])
def test_tls_operations(net, library, steps):
    """Without limits of their own. The last step waits for what the server cannot know that it was asked for."""
    def greeting(connection, stop):
        net.drop(DATA.format(port=server.port))
        tcp.greeting(b"x")(connection, stop)

    server = net.serve(tls.over_tls(greeting))
    if len(steps) == 1:
        net.drop(DATA.format(port=server.port))
    steps = steps + ["bye"] * (library == "openssl" and steps[-1] == "bye")  # the first SSL_shutdown only sends
    result = net.run([TLS, library, "block", server.port, *steps], patience=12, UNACKED="1s", KEEPALIVE="off", TLS_HANDSHAKE="off",
                     TLS_SHUTDOWN="off", LOG="stderr")
    last = parse(result)[-1]
    assert last.result < 0 and last.errno == "ETIMEDOUT" and 900 < last.ms < 6000 and b"limit=UNACKED" in result.err, result


def test_close_that_lingers(net):
    server = net.serve(tcp.silent)
    linger = "s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 60)) or s.close()"
    asker = Asker(net, server, linger, UNACKED="1s", KEEPALIVE="off")
    net.drop(f"tcp dport {server.port}")
    result, seconds, log = asker.answer()
    assert result == "None" and 0.9 <= seconds < 6 and b"limit=UNACKED" in log, (result, seconds, log)


@pytest.mark.parametrize("wait", ["s.recv(1)", "polls(None)", "epolls(select.EPOLLIN)", "epolls(select.EPOLLIN, 0.1)"])
def test_unreachable_for_less_than_it_and_back(net, wait):
    server = net.serve(tcp.asked(tcp.greeting(b"x")))
    asker = Asker(net, server, wait, UNACKED="4s", KEEPALIVE="1s")
    net.drop(f"tcp dport {server.port}")
    threading.Timer(0.8, net.undrop).start()
    result, seconds, log = asker.answer()
    assert result == "b'x'" and not log, (result, seconds, log)


def takes(size):
    """Reads so many bytes, then answers."""
    def behaviour(connection, stop):
        left = size
        while left:
            left -= len(connection.recv(min(left, 65536)))
        tcp.greeting(b"x")(connection, stop)

    return behaviour


@pytest.mark.parametrize("wait", ["s.recv(1)", "epolls(select.EPOLLIN, 0.1)", "s.sendall(bytes(1 << 22)) or s.recv(1)"])
def test_back_within_it_but_met_after_it(net, wait):
    """The kernel sends again after 1.4 and 3.1 s: a peer that comes back between these hears of it after UNACKED only."""
    server = net.serve(takes(8 + (1 << 22 if "sendall" in wait else 0)))
    asker = Asker(net, server, wait, UNACKED="3s", KEEPALIVE="off")
    net.drop(f"tcp dport {server.port}")
    threading.Timer(2.2, net.undrop).start()
    result, seconds, log = asker.answer()
    assert result == "b'x'" and not log, (result, seconds, log)


def need_rto_max():
    with socket.socket() as s:
        try:
            s.getsockopt(socket.IPPROTO_TCP, 44)  # TCP_RTO_MAX_MS
        except OSError:
            pytest.skip("the kernel has no TCP_RTO_MAX_MS")


@pytest.mark.parametrize("wait", ["s.recv(1)", "epolls(select.EPOLLIN, 0.1)", "s.sendall(bytes(1 << 22)) or s.recv(1)"])
def test_back_near_its_end(net, wait):
    """The kernel alone would send again after 1.4, 3.1 and 6.3 s."""
    need_rto_max()
    server = net.serve(takes(8 + (1 << 22 if "sendall" in wait else 0)))
    asker = Asker(net, server, f"[{wait}, s.getsockopt(socket.IPPROTO_TCP, 44)]", UNACKED="5s", KEEPALIVE="off")
    net.drop(f"tcp dport {server.port}")
    threading.Timer(3.8, net.undrop).start()
    result, seconds, log = asker.answer()
    assert result == "[b'x', 120000]" and not log, (result, seconds, log)


@pytest.mark.parametrize("wait", ["s.recv(1)", "polls(None)", "epolls(select.EPOLLIN, 0.1)"])
def test_a_reader_that_pauses_is_waited_for(net, wait):
    """Its window is closed for many times UNACKED, and it acknowledges the probes of that."""
    server = net.serve(tcp.pausing(2.5, tcp.asked(tcp.greeting(b"x")), before=0), receive_buffer=4096)
    fill = "[s.setblocking(False), error(lambda: [s.send(bytes(65536)) for _ in range(1000)]), s.setblocking(True)] and "
    result, seconds, log = Asker(net, server, fill + wait, UNACKED="500ms", KEEPALIVE="1s", SEND="off").answer()
    assert result == "b'x'" and seconds > 1.5 and not log, (result, seconds, log)


def test_among_many_connections_each_is_judged_by_itself(net):
    """An event loop that is always busy with one connection; another one's peer is gone, and a third is idle."""
    server = net.serve(tcp.echo)
    busy = net.serve(tcp.drip(b"x" * 1000, interval=0.01))
    body = """
gone, idle, busy = dial(), dial(), dial(int(sys.argv[2]))
set = select.epoll()
for s in (gone, idle, busy):
    set.register(s, select.EPOLLIN)
print("connected", flush=True)
sys.stdin.readline()
gone.send(b"x")
began = time.monotonic()
while True:
    ready = [fd for fd, _ in set.poll()]
    if gone.fileno() in ready or idle.fileno() in ready:
        break
    busy.recv(1)
print(json.dumps([ready == [gone.fileno()] or ready == [gone.fileno(), busy.fileno()] or ready == [busy.fileno(), gone.fileno()],
                  time.monotonic() - began, error(gone.recv, 1), error(lambda: idle.send(b"y"))]))
"""
    program = net.start(programs.child(body, server.port, busy.port), stdin=subprocess.PIPE, UNACKED="1s", KEEPALIVE="off")
    assert program.process.stdout.readline() == b"connected\n"
    net.drop(f"tcp dport {server.port}")
    result = program.finish(input=b"\n")
    alone, seconds, error, sent = json.loads(result.out)
    assert alone and 0.9 <= seconds < 6 and error == "ETIMEDOUT" and sent == "1", result


# A question by stdio, which no hook sees.
STDIO = """
s = dial()
libc.fdopen.restype = libc.fgets.restype = ctypes.c_void_p
before = s.getsockopt(socket.IPPROTO_TCP, 44) # TCP_RTO_MAX_MS
file = ctypes.c_void_p(libc.fdopen(s.fileno(), b"r+"))
print("connected", flush=True)
sys.stdin.readline()
def ask():
    sent = [libc.fputs(b"x" * int(sys.argv[2]), file), libc.fflush(file)]
    ctypes.set_errno(0)
    answer = ctypes.create_string_buffer(9)
    got = libc.fgets(answer, 9, file)
    return (answer.value.decode() if got else errno.errorcode.get(ctypes.get_errno())), min(sent) >= 0
print(json.dumps([*timed(ask), s.getsockopt(socket.IPPROTO_TCP, 44) == before]), flush=True)
"""


def asks_by_stdio(net, server, retries, size):
    """Of a kernel that retransmits so often."""
    net.do("sh", "-c", f"echo {retries} >/proc/sys/net/ipv4/tcp_retries2")
    program = net.start(programs.child(STDIO, server.port, str(size)), stdin=subprocess.PIPE, UNACKED="1s", KEEPALIVE="off", SEND="off")
    if program.process.stdout.readline() != b"connected\n":
        assert b"Protocol not available" in program.finish().err
        pytest.skip("the kernel has no TCP_RTO_MAX_MS")
    return program


def test_stdio_never_acknowledged(net):
    """The kernel gives up after 5.4 s, not after 25."""
    server = net.serve(tcp.silent)
    program = asks_by_stdio(net, server, retries=6, size=20)
    net.drop(f"tcp dport {server.port}")
    (answer, _), seconds, unchanged = json.loads(program.finish(input=b"\n").out)
    assert answer == "ETIMEDOUT" and 5 <= seconds < 15 and unchanged, (answer, seconds, unchanged)


def test_stdio_to_a_reader_that_pauses(net):
    """For longer than the 2.4 s after which the kernel gives up on who does not acknowledge."""
    def late(connection, stop):
        stop.wait(5)
        left = 500_000
        while left:
            left -= len(connection.recv(left))
        connection.sendall(b"x\n")
        stop.wait()

    program = asks_by_stdio(net, net.serve(late, receive_buffer=4096), retries=3, size=500_000)
    result = program.finish(input=b"\n")
    (answer, sent), seconds, _ = json.loads(result.out)
    assert answer == "x\n" and sent and seconds > 4, result
