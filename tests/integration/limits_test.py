"""ACCEPT, IDLE, LIFETIME and MIN_RATE: what each ends, in every way of waiting, and what it leaves alone."""

import json
import socket
import time

import pytest

import programs
from faults import tcp, tls

# What a test's program can use; it prints what it put into `told`.
CLIENT = """
port, told = int(sys.argv[1]), {}

def listener():
    l = socket.socket()
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind(("127.0.0.1", port))
    l.listen(5)
    print("listening", flush=True)
    return l
"""
WAITS = pytest.mark.parametrize("wait", ["poll_in", "select_in", "epoll_in"])
LIMIT = 0.3


def start(net, body, port, **limits):
    return net.start(programs.child(CLIENT + body + "\ntell(told)", port), **limits)


def told(net, body, server=None, **limits):
    server = server or net.serve(tcp.silent)
    result = start(net, body, server.port, **limits).finish(10)
    assert result.status == 0, result
    return json.loads(result.out.splitlines()[-1])


def served(net, body, client, **limits):
    """As told, for a program that listens; `client` is called with a connection to it, and its result is the second one."""
    port = 4000
    program = start(net, body, port, **limits)
    assert program.process.stdout.readline() == b"listening\n"
    with net.inside(), socket.create_connection(("127.0.0.1", port)) as connection:
        seen = client(connection)
        result = program.finish(10)
    assert result.status == 0, result
    return json.loads(result.out.splitlines()[-1]), seen


def late(seconds, limit=LIMIT, more=0.6):
    return limit - 0.01 <= seconds < limit + more


# --- IDLE ---


@WAITS
def test_idle_in_a_wait(net, wait):
    """Among several, of which one moves."""
    def talking(connection, stop):
        if connection.recv(1) == b"t":
            while not stop.wait(0.05):
                connection.sendall(b"x")
        stop.wait()

    answer = told(net, f"""
silent, busy = dial(), dial()
silent.send(b"s")
busy.send(b"t")
began = time.monotonic()
told["silent"] = "EAGAIN"
while time.monotonic() - began < 3 and told["silent"] == "EAGAIN":
    {wait}(silent, busy)
    error(lambda: busy.recv(100, socket.MSG_DONTWAIT))
    told["silent"] = error(lambda: silent.recv(1, socket.MSG_DONTWAIT))
told["after"] = time.monotonic() - began
told["busy"] = error(lambda: busy.recv(1))
""", net.serve(talking), IDLE="300ms")
    assert late(answer["after"]), answer
    assert answer["silent"] == "ETIMEDOUT" and answer["busy"] == "b'x'", answer


@WAITS
def test_idle_wakes_an_infinite_wait(net, wait):
    answer = told(net, f"""
a, b = dial(), dial()
told["ready"], told["after"] = timed(lambda: len({wait}(a, b, timeout=3)))
told["errors"] = [error(lambda: s.recv(1)) for s in (a, b)]
""", IDLE="300ms")
    assert answer["ready"] >= 1 and late(answer["after"]) and "ETIMEDOUT" in answer["errors"], answer


@pytest.mark.parametrize("limits", [{}, {"RECV": "200ms", "SEND": "200ms", "UNACKED": "200ms", "CONNECT": "200ms"}],
                         ids=["defaults", "others"])
@WAITS
def test_idle_connections_live_without_it(net, wait, limits):
    answer = told(net, f"""
pool = [dial() for _ in range(5)]
told["idle"] = len({wait}(*pool, timeout=1))
told["calls"] = [error(lambda: s.recv(1, socket.MSG_DONTWAIT)) for s in pool]
""", **limits)
    assert answer == {"idle": 0, "calls": ["EAGAIN"] * 5}


@pytest.mark.parametrize("call", ["s.recv(1)", "os.read(s.fileno(), 1)", "s.recvmsg(10)"])
def test_idle_in_a_call(net, call):
    answer = told(net, f"""
s = dial()
told["error"], told["after"] = timed(lambda: error(lambda: {call}))
""", IDLE="300ms")
    assert answer["error"] == "ETIMEDOUT" and late(answer["after"]), answer


def test_idle_is_over_at_each_movement(net):
    """In either direction: an answer to what we send again and again."""
    answer = told(net, """
s, other = dial(), dial()
for _ in range(8):
    s.send(b"x")
    told["ready"] = s in poll_in(s, other, timeout=0.1)
told["it"] = error(lambda: s.send(b"x"))
""", net.serve(tcp.draining), IDLE="300ms")
    assert answer == {"ready": False, "it": "1"}


def test_retransmission_is_no_movement(net):
    """A peer that is gone: what the kernel sends again and again does not count."""
    server = net.serve(tcp.draining)
    program = start(net, """
s, other = dial(), dial()
print("connected", flush=True)
sys.stdin.readline()
s.send(b"into the void")
told["ready"], told["after"] = timed(lambda: poll_in(s) == [s])
""", server.port, IDLE="1s", stdin=programs.subprocess.PIPE)
    program.process.stdout.readline()
    net.drop(f"tcp dport {server.port}")
    program.process.stdin.write(b"\n")
    program.process.stdin.flush()
    result = program.finish(10)
    answer = json.loads(result.out.splitlines()[-1])
    assert 0.9 < answer["after"] < 2.5, answer


# --- LIFETIME ---


def test_lifetime_of_a_busy_connection(net):
    answer = told(net, """
s = dial()
def talk():
    try:
        while True:
            s.send(b"x")
            s.recv(1)
            time.sleep(0.02)
    except OSError as e:
        return errno.errorcode[e.errno]
told["error"], told["after"] = timed(talk)
told["again"] = [error(lambda: s.recv(1)), error(lambda: s.send(b"x"))]
""", net.serve(tcp.echo), LIFETIME="300ms")
    assert answer["error"] == "ETIMEDOUT" and late(answer["after"]), answer
    assert set(answer["again"]) <= {"ETIMEDOUT", "ECONNRESET", "EPIPE"}, answer


def test_lifetime_of_one_that_does_not_block(net):
    answer = told(net, """
s = dial()
s.setblocking(False)
told["before"] = error(lambda: s.recv(1))
time.sleep(0.35)
told["after"] = [error(lambda: s.recv(1)), error(lambda: s.send(b"x"))]
""", LIFETIME="300ms")
    assert answer == {"before": "EAGAIN", "after": ["ETIMEDOUT", "ETIMEDOUT"]}


@WAITS
def test_lifetime_in_a_wait(net, wait):
    answer = told(net, f"""
a = dial()
time.sleep(0.2)
b = dial()
told["first"], told["after"] = timed(lambda: len({wait}(a, b)))
told["errors"] = [error(lambda: s.recv(1, socket.MSG_DONTWAIT)) for s in (a, b)]
told["second"], told["later"] = timed(lambda: len({wait}(b)))
""", LIFETIME="400ms")
    assert answer["first"] == 1 and late(answer["after"], 0.15), answer
    assert answer["errors"] == ["ETIMEDOUT", "EAGAIN"] and answer["second"] == 1 and answer["later"] < 0.8, answer


@pytest.mark.parametrize("call, server", [("s.recv(1)", "silent"), ("s.recv(10, socket.MSG_WAITALL)", "silent"),
                                          ("s.sendall(bytes(1 << 24))", "silent")])
def test_lifetime_wakes_a_call(net, call, server):
    answer = told(net, f"""
s = dial()
told["error"], told["after"] = timed(lambda: error(lambda: {call}))
""", net.serve(tcp.silent, receive_buffer=4096), LIFETIME="300ms")
    assert answer["error"] == "ETIMEDOUT" and late(answer["after"]), answer


def test_lifetime_of_an_accepted_connection(net):
    answer, seen = served(net, """
l = listener()
s = l.accept()[0]
told["error"], told["after"] = timed(lambda: error(lambda: s.recv(10)))
told["listener"] = error(lambda: l.getsockname()[1])
""", lambda connection: None, INBOUND_LIFETIME="300ms", LIFETIME="50ms")
    assert answer["error"] == "ETIMEDOUT" and late(answer["after"]) and answer["listener"] == "4000", answer


# --- MIN_RATE ---


def dripping(interval=0.03, head=b""):
    return tcp.drip(b"x" * 1000, interval, head)


@pytest.mark.parametrize("head", [b"", b"h" * 5000], ids=["at once", "after a fast beginning"])
@pytest.mark.parametrize("how", ["s.recv(4096)", "(poll_in(s), s.recv(4096))[1]", "(epoll_in(s), s.recv(4096))[1]",
                                 "(select_in(s), s.recv(4096))[1]", "(poll_in(s, other), s.recv(4096))[1]",
                                 "(epoll_in(s, other), s.recv(4096))[1]"])
def test_a_peer_that_drips(net, how, head):
    answer = told(net, f"""
s, other = dial(), dial()
s.send(b"a question")
def take():
    try:
        while {how}:
            pass
    except OSError as e:
        return errno.errorcode[e.errno]
told["error"], told["after"] = timed(take)
told["other"] = error(lambda: other.recv(1, socket.MSG_DONTWAIT))
""", net.serve(dripping(head=head)), MIN_RATE="1k/400ms")
    assert answer["error"] == "ETIMEDOUT" and late(answer["after"], 0.4, 1.6), answer
    assert answer["other"] == "EAGAIN", answer


@pytest.mark.parametrize("how", ["s.recv(4096)", "(poll_in(s), s.recv(4096))[1]", "(epoll_in(s, other), s.recv(4096))[1]"])
def test_a_peer_above_the_rate_lives(net, how):
    """By little, and in bursts."""
    def bursting(connection, stop):
        connection.recv(100)
        for _ in range(8):
            connection.sendall(b"x" * 1000)
            if stop.wait(0.2):
                return

    answer = told(net, f"""
s, other = dial(), dial()
s.send(b"a question")
got = 0
while data := {how}:
    got += len(data)
told["got"] = got
""", net.serve(bursting), MIN_RATE="1k/400ms")
    assert answer == {"got": 8000}


def test_min_rate_counts_waits_only(net):
    """A program that does other things between two reads."""
    answer = told(net, """
s = dial()
for _ in range(4):
    s.send(b"x")
    s.recv(1)
    time.sleep(0.2)
told["alive"] = error(lambda: s.send(b"x"))
""", net.serve(tcp.echo), MIN_RATE="1k/300ms")
    assert answer == {"alive": "1"}


def test_a_reader_that_drips(net):
    answer = told(net, """
s = dial()
told["error"], told["after"] = timed(lambda: error(lambda: s.sendall(bytes(1 << 25))))
""", net.serve(tcp.crawling(64, 0.02, tcp.draining), receive_buffer=2048), MIN_RATE="100k/500ms")
    assert answer["error"] == "ETIMEDOUT" and late(answer["after"], 0.5, 2.5), answer


SLOWLORIS = """
l = listener()
{serve}
"""


def slowloris(connection):
    began = time.monotonic()
    try:
        for byte in b"GET / HTTP/1.1\r\n" * 20:
            connection.send(bytes([byte]))
            time.sleep(0.03)
    except OSError:
        return time.monotonic() - began


@pytest.mark.parametrize("serve", [
    # blocking, a thread or a process for each
    """
s = l.accept()[0]
try:
    while s.recv(100): pass
except OSError as e:
    told["error"] = errno.errorcode[e.errno]
""",
    # an event loop with other clients that are idle
    """
s = l.accept()[0]
idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
others = [l.accept()[0] for _ in idle]
e = select.epoll()
for each in [l, s, *others]:
    each.setblocking(False)
    e.register(each, select.EPOLLIN)
while "error" not in told:
    for fd, _ in e.poll(3):
        if fd == s.fileno():
            try:
                s.recv(100)
            except OSError as error_:
                told["error"] = errno.errorcode[error_.errno]
told["others"] = [error(lambda: o.recv(1)) for o in others]
"""], ids=["blocking", "event loop"])
def test_slowloris(net, serve):
    answer, seen = served(net, SLOWLORIS.format(serve=serve), slowloris, INBOUND_MIN_RATE="1k/400ms")
    assert answer["error"] == "ETIMEDOUT" and seen is not None and late(seen, 0.4, 1.5), (answer, seen)
    assert set(answer.get("others", [])) <= {"EAGAIN"}, answer


# --- ACCEPT ---

def alone(net, body, **limits):
    program = start(net, body, 4000, **limits)
    result = program.finish(10)
    assert result.status == 0, result
    return json.loads(result.out.splitlines()[-1])


def test_accept(net):
    answer = alone(net, """
l = listener()
told["first"], told["after"] = timed(lambda: error(l.accept))
c = dial()
s = l.accept()[0]
c.send(b"x")
told["then"] = error(lambda: s.recv(1))
told["rcvtimeo"] = s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == bytes(16)
""", ACCEPT="300ms")
    assert answer["first"] == "ETIMEDOUT" and late(answer["after"]), answer
    assert answer["then"] == "b'x'" and answer["rcvtimeo"], answer


def test_accept_of_several_threads(net):
    """One connection comes; each thread that does not get it is bounded too."""
    answer = alone(net, """
l = listener()
told["each"] = []
def one():
    told["each"].append(timed(lambda: error(lambda: l.accept()[0].close())))
threads = [threading.Thread(target=one) for _ in range(6)]
for t in threads: t.start()
time.sleep(0.1)
c = dial()
for t in threads: t.join(3)
""", ACCEPT="300ms")
    errors = sorted(error for error, _ in answer["each"])
    assert errors == ["ETIMEDOUT"] * 5 + ["None"], answer
    assert all(seconds < 1.5 for _, seconds in answer["each"]), answer


@pytest.mark.parametrize("threads", [1, 2])
def test_accept_of_several_processes(net, threads):
    """A prefork server: whoever loses a connection to another process is bounded too, and none is lost."""
    answer = alone(net, f"""
l = listener()
l.listen(100)
go, come = os.pipe(), os.pipe()
def serve():
    while os.read(go[0], 1):
        served = 0
        try:
            while True:
                l.accept()[0].close()
                served += 1
        except TimeoutError:
            os.write(come[1], b"%03d" % served)
children = 10
for _ in range(children):
    if not os.fork():
        os.close(go[1])
        others = [threading.Thread(target=serve) for _ in range({threads})]
        for t in others: t.start()
        for t in others: t.join()
        os._exit(0)
told["served"] = 0
for i in range(15):
    os.write(go[1], bytes(children * {threads}))
    time.sleep(0.02)
    for i in range(2):
        dial().close()
    told["served"] += sum(int(os.read(come[0], 3)) for _ in range(children * {threads}))
""", ACCEPT="60ms")
    assert answer["served"] == 30, answer


@WAITS
def test_accept_in_a_wait(net, wait):
    answer = alone(net, f"""
l = listener()
r, w = os.pipe()
told["ready"], told["after"] = timed(lambda: len({wait}(l, r)))
told["accept"] = error(l.accept)
l.setblocking(False)
told["again"] = error(l.accept)
c = dial()
told["then"] = len({wait}(l, r)), error(lambda: l.accept()[0].close())
""", ACCEPT="300ms")
    assert answer["ready"] == 1 and late(answer["after"]) and answer["accept"] == "ETIMEDOUT", answer
    assert answer["again"] == "EAGAIN" and answer["then"] == [1, "None"], answer


@WAITS
def test_a_listener_in_an_event_loop_is_left_alone(net, wait):
    answer = alone(net, f"""
l = listener()
c = dial()
s = l.accept()[0]
told["idle"] = len({wait}(l, s, timeout=0.8))
told["alive"] = error(lambda: s.recv(1, socket.MSG_DONTWAIT))
""", ACCEPT="300ms")
    assert answer == {"idle": 0, "alive": "EAGAIN"}


def test_accept_keeps_the_programs_own_timeout(net):
    answer = alone(net, """
l = listener()
l.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(0.1))
told["own"], told["after"] = timed(lambda: error(l.accept))
""", ACCEPT="300ms")
    assert answer["own"] == "EAGAIN" and 0.09 < answer["after"] < 0.29, answer


def test_a_listener_waits_for_ever_without_it(net):
    answer = alone(net, """
l = listener()
threading.Timer(0.6, dial).start()
told["got"] = error(lambda: l.accept()[0].close())
""", RECV="200ms", INBOUND_RECV="200ms", IDLE="200ms")
    assert answer == {"got": "None"}


# --- TLS ---


@pytest.mark.parametrize("what, server, limit", [
    ("secure.sendall(bytes(1 << 25))", tls.over_tls(tcp.crawling(64, 0.02, tcp.draining)), {"MIN_RATE": "100k/500ms"}),
    ("[secure.recv(10) for _ in range(1000)]", tls.over_tls(dripping()), {"LIFETIME": "500ms"}),
    ("[secure.recv(10) for _ in range(1000)]", tls.over_tls(dripping()), {"MIN_RATE": "10k/700ms"}),
    ("secure.recv(10)", tls.over_tls(tcp.silent), {"IDLE": "500ms"}),
    ("secure.recv(10)", tls.over_tls(tcp.silent), {"IDLE": "500ms", "RECV": "5s"})])
def test_inside_a_tls_operation(net, what, server, limit):
    answer = told(net, f"""
secure = tls(dial())
secure.send(b"a question") if "recv" in {what!r} else None
told["error"], told["after"] = timed(lambda: error(lambda: {what}))
""", net.serve(server, receive_buffer=2048), **limit)
    # 5 is what Python says for SSL_ERROR_SYSCALL; the handshake has waited already, and aged.
    assert answer["error"] in ("ETIMEDOUT", "EIO") and late(answer["after"], 0.2, 2.8), answer


# --- MODE=observe ---


@pytest.mark.parametrize("limit, body", [
    ("IDLE", "s.recv(1)"), ("LIFETIME", "s.recv(1)"), ("IDLE", "(poll_in(s, other, timeout=0.5), s.recv(1))[1]"),
    ("LIFETIME", "(epoll_in(s, other), s.recv(1))[1]"), ("MIN_RATE", "(select_in(s), s.recv(1))[1]")])
def test_observed(net, limit, body):
    """Nothing ends; it is told what would have."""
    log = net.directory / "log"
    answer = told(net, f"""
s, other = dial(), dial()
told["got"] = error(lambda: {body})
told["again"] = error(lambda: s.send(b"x"))
""", net.serve(tcp.after(0.7, tcp.greeting(b"x"))), MODE="observe", LOG=log, **{limit: "1k/300ms" if limit == "MIN_RATE" else "300ms"})
    assert answer == {"got": "b'x'", "again": "1"}
    lines = log.read_text().splitlines()
    assert lines and all(f"limit={limit} " in line and "observed=true" in line for line in lines), lines


def test_observed_accept(net):
    log = net.directory / "log"
    answer = alone(net, """
l = listener()
threading.Timer(0.6, dial).start()
told["got"] = error(lambda: l.accept()[0].close())
""", MODE="observe", LOG=log, ACCEPT="300ms")
    assert answer == {"got": "None"} and "limit=ACCEPT" in log.read_text()


# --- live twins ---


@pytest.mark.parametrize("limit", ["IDLE", "LIFETIME", "MIN_RATE"])
def test_local_streams_are_left_alone(net, limit):
    """D-Bus, a database beside the program: limits on connections are limits on the network."""
    answer = told(net, """
l = socket.socket(socket.AF_UNIX)
l.bind("\\0netdeadline-test")
l.listen(1)
c = socket.socket(socket.AF_UNIX)
c.connect("\\0netdeadline-test")
told["idle"] = len(poll_in(c, timeout=0.7))
told["alive"] = error(lambda: c.send(b"x"))
""", **{limit: "1k/200ms" if limit == "MIN_RATE" else "200ms"})
    assert answer == {"idle": 0, "alive": "1"}


@pytest.mark.parametrize("call", ["read", "recv", "readv"])
def test_a_receive_that_waited_keeps_errno(net, call):
    server = net.serve(tcp.after(0.3, tcp.greeting(b"x")))
    seen = told(net, f"""
s, room = dial(), ctypes.create_string_buffer(8)
class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
part = Part(ctypes.addressof(room), 8)
arguments = dict(read=(room, 8), recv=(room, 8, 0), readv=(ctypes.byref(part), 1))["{call}"]
ctypes.set_errno(77)
told["got"] = libc.{call}(s.fileno(), *arguments)
told["errno"] = ctypes.get_errno()
""", server, LIFETIME="20s")
    assert seen == {"got": 1, "errno": 77}
