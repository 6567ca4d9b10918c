"""RECV on datagram sockets that are waited for: what is shown as late, once, and what is left alone."""

import pytest

# What a test's program can use; it prints what it put into `told`. `wait(...)` gives the sockets that are ready.
CLIENT = """
told = {}

# It answers nothing by itself.
peer = udp(("127.0.0.1", 4001))
there = peer.getsockname()

def dial(s=None):
    s = s or udp()
    s.connect(there)
    return s

def answer(after=0):
    def wait_and_send():
        _, back = peer.recvfrom(100)
        time.sleep(after)
        peer.sendto(b"answer", back)
    t = threading.Thread(target=wait_and_send)
    t.start()
    return t
"""
WAITS = pytest.mark.parametrize("wait", ["poll_in", "select_in", "epoll_in"])
LIMIT = 0.3
RECV = "300ms"


def told(net, body, **limits):
    return net.told(CLIENT + body + "\ntell(told)", **limits)


def late(seconds, limit=LIMIT):
    """Not early; that it was not the wait's own timeout is known from what is ready."""
    return limit - 0.01 <= seconds < 20


# --- what is bounded ---


@WAITS
def test_the_only_connected_one(net, wait, tmp_path):
    """Beside a pipe, a server's socket and a listener. It is told, and lives on."""
    log = tmp_path / "log"
    answer = told(net, f"""
r, w = os.pipe()
l = socket.create_server(("127.0.0.1", 0))
s = dial()
ready, told["after"] = timed(lambda: {wait}(s, open(r), peer, l))
told["ready"] = ready == [s]
s.setblocking(False)
told["first"] = error(lambda: s.recv(10))
told["second"] = error(lambda: s.recv(10))
s.send(b"question")
answer().join()
told["then"] = {wait}(s) == [s], error(lambda: s.recv(10))
""", RECV=RECV, LOG=log)
    assert answer["ready"] and late(answer["after"]), answer
    assert (answer["first"], answer["second"]) == ("ETIMEDOUT", "EAGAIN"), answer
    assert answer["then"] == [True, "b'answer'"], answer
    line, = log.read_text().splitlines()
    assert "limit=RECV" in line and "peer=127.0.0.1:4001" in line, line


@WAITS
def test_one_that_owes_a_reply(net, wait, tmp_path):
    """It was never connected, and has had an answer before; others wait with it. Whom it asked is told."""
    log = tmp_path / "log"
    answer = told(net, f"""
s, other, another = udp(), dial(), dial()
s.sendto(b"one", there)
answer().join()
s.recv(10)
s.sendto(b"two", there)
ready, told["after"] = timed(lambda: {wait}(other, s, another))
told["ready"] = ready == [s]
told["recv"] = error(lambda: s.recvfrom(10))
told["again"] = timed(lambda: {wait}(other, s, another) == [s])
""", RECV=RECV, LOG=log)
    assert all("peer=127.0.0.1:4001" in line for line in log.read_text().splitlines())
    assert answer["ready"] and late(answer["after"]) and answer["recv"] == "ETIMEDOUT", answer
    assert answer["again"][0] and late(answer["again"][1]), answer


@WAITS
def test_short_waits_add_up(net, wait):
    answer = told(net, f"""
s, waits = dial(), 0
began = time.monotonic()
while not {wait}(s, timeout=0.05) and time.monotonic() - began < 5:
    time.sleep(0.02)
    waits += 1
told["waits"] = waits
told["recv"] = error(lambda: s.recv(10))
""", RECV=RECV)
    assert answer["waits"] < 8 and answer["recv"] == "ETIMEDOUT", answer


@pytest.mark.parametrize("bind", ['s.bind(("127.0.0.1", 0))', 'ctypes.CDLL(None).bind(s.fileno(), bytes(128), 128)',
                                  's.bind(("127.0.0.1", 0)); ctypes.CDLL(None).connect(s.fileno(), bytes(16), 16)'])
def test_a_client_whose_port_the_kernel_chose(net, bind):
    """It was bound, but speaks first."""
    answer = told(net, f"""
s = udp()
{bind}
s.sendto(b"question", there)
told["ready"] = timed(lambda: poll_in(s) == [s])
told["recv"] = error(lambda: s.recv(10))
told["blocking"] = timed(lambda: error(lambda: s.recv(10)))
told["own"] = s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == bytes(16)
""", RECV=RECV)
    assert answer["ready"][0] and late(answer["ready"][1]) and answer["recv"] == "ETIMEDOUT", answer
    assert answer["blocking"][0] == "ETIMEDOUT" and late(answer["blocking"][1]) and answer["own"], answer


def test_one_that_was_bound_and_then_connected(net):
    answer = told(net, """
s = dial(udp(("127.0.0.1", 4002)))
told["ready"] = timed(lambda: poll_in(s) == [s])
told["recv"] = error(lambda: s.recv(10))
told["blocking"] = error(lambda: s.recv(10))
ctypes.CDLL(None).connect(s.fileno(), bytes(16), 16)
told["dissolved"] = len(poll_in(s, timeout=0.8))
told["rcvtimeo"] = bytes(s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)) == bytes(16)
""", RECV=RECV)
    assert answer["ready"][0] and late(answer["ready"][1]), answer
    assert answer["recv"] == answer["blocking"] == "ETIMEDOUT" and answer["dissolved"] == 0 and answer["rcvtimeo"], answer


def test_the_programs_own_timeout(net):
    """Calls that it ends add up; once that is told they begin anew."""
    answer = told(net, """
s = dial()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(0.3))
told["calls"] = [error(lambda: s.recv(10)) for i in range(10)]
""", RECV="2s")
    calls = "".join({"EAGAIN": ".", "ETIMEDOUT": "!"}[call] for call in answer["calls"])
    assert "!" in calls and "!!" not in calls, calls


def test_ipv6(net):
    answer = told(net, """
s = udp(("::1", 0), socket.AF_INET6)
s.sendto(b"question", ("::1", 4001))
told["ready"] = timed(lambda: poll_in(s) == [s])
told["recv"] = error(lambda: s.recv(10))
""", RECV=RECV)
    assert answer["ready"][0] and late(answer["ready"][1]) and answer["recv"] == "ETIMEDOUT", answer


# Every way to send one and to receive one: none of them may go unnoticed.
MMSG = """
class iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
class msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint), ("iov", ctypes.POINTER(iovec)),
                ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]
class mmsghdr(ctypes.Structure):
    _fields_ = [("hdr", msghdr), ("len", ctypes.c_uint)]
def mmsg(call, *more):
    buffer = ctypes.create_string_buffer(b"question")
    iov = iovec(ctypes.cast(buffer, ctypes.c_void_p), 8)
    m = mmsghdr(msghdr(None, 0, ctypes.pointer(iov), 1))
    if call(s.fileno(), ctypes.byref(m), 1, *more) < 0:
        raise OSError(ctypes.get_errno(), "")
    return m.len
"""


@pytest.mark.parametrize("send", ["s.send(b'q')", "s.sendto(b'q', there)", "s.sendmsg([b'q'])", "os.write(s.fileno(), b'q')",
                                  "os.writev(s.fileno(), [b'q'])", "s.send(b'')", "mmsg(libc.sendmmsg, 0)",
                                  "mmsg(libc.sendmmsg, socket.MSG_DONTWAIT)"])
def test_ways_to_send(net, send):
    """Among several that are connected, so that only a question makes it late."""
    answer = told(net, MMSG + f"""
s, other = dial(), dial()
told["idle"] = len(poll_in(s, other, timeout=0.7))
{send}
told["ready"] = timed(lambda: poll_in(s, other) == [s])
""", RECV=RECV)
    assert answer["idle"] == 0 and answer["ready"][0] and late(answer["ready"][1]), answer


@pytest.mark.parametrize("receive", ["s.recv(10)", "s.recvfrom(10)", "s.recvmsg(10)", "s.recv(10, socket.MSG_DONTWAIT)",
                                     "os.read(s.fileno(), 10)", "os.readv(s.fileno(), [bytearray(10)])",
                                     "mmsg(libc.recvmmsg, 0, None)", "mmsg(libc.recvmmsg, socket.MSG_DONTWAIT, None)"])
@pytest.mark.parametrize("answer", ["answer", ""])
def test_ways_to_receive(net, receive, answer, tmp_path):
    """What has come, also an empty one, is no debt any more; what has not is told by each, without a wait of its own."""
    log = tmp_path / "log"
    answer = told(net, MMSG + f"""
s, other = dial(), dial()
s.send(b"question")
peer.sendto(b"{answer}", peer.recvfrom(10)[1])
told["got"] = error(lambda: {receive})
told["idle"] = len(poll_in(s, other, timeout=0.7))
s.send(b"question")
told["late"] = poll_in(s, other) == [s], error(lambda: {receive})
""", RECV=RECV, LOG=log)
    assert answer["got"] not in ("ETIMEDOUT", "EAGAIN") and answer["idle"] == 0, answer
    assert answer["late"] == [True, "ETIMEDOUT"] and len(log.read_text().splitlines()) == 1, answer


def test_interrupted_recvmmsg(net):
    """The time until the interruption counts in the next call; once that has expired, the third has the whole limit."""
    answer = told(net, MMSG + """
import signal
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, True)
s = dial()
s.send(b"question")
receive = lambda: timed(lambda: error(lambda: mmsg(libc.recvmmsg, 0, None)))
signal.setitimer(signal.ITIMER_REAL, 0.6)
told["calls"] = [receive() for _ in range(3)]
""", RECV="900ms")
    (first, _), (second, rest), (third, whole) = answer["calls"]
    assert (first, second, third) == ("EINTR", "ETIMEDOUT", "ETIMEDOUT"), answer
    assert 0.2 <= rest < 0.6 and late(whole, 0.9), answer


@WAITS
def test_an_answer_that_comes_after_all(net, wait):
    """Between the wait and the call: the call gives it, and nothing is left of the rest."""
    answer = told(net, f"""
s = dial()
s.send(b"question")
told["ready"] = {wait}(s) == [s]
answer().join()
while not {wait}(s, timeout=0): pass
told["recv"] = error(lambda: s.recv(10))
s.setblocking(False)
told["then"] = error(lambda: s.recv(10))
told["quiet"] = len({wait}(s, timeout=0))
""", RECV=RECV)
    assert answer == {"ready": True, "recv": "b'answer'", "then": "EAGAIN", "quiet": 0}


def test_answers_in_time(net):
    """Each starts the clock anew, also one that is read without a wait, and one set is waited for all the time."""
    answer = told(net, """
s, e = dial(), select.epoll()
e.register(s, select.EPOLLIN)
s.setblocking(False)
told["waits"] = []
for i in range(4):
    s.send(b"question")
    t = answer(0.7)
    told["waits"].append(len(e.poll(6)) == 1 and error(lambda: s.recv(10)))
    t.join()
told["late"] = timed(lambda: len(e.poll(6)))
""", RECV="2500ms")
    assert answer["waits"] == ["b'answer'"] * 4 and answer["late"][0] == 1 and late(answer["late"][1], 2.5), answer


# --- what is left alone ---


SERVERS = {"its port": 'udp(("127.0.0.1", 4002))', "any port": 'udp(("127.0.0.1", 0))'}


@WAITS
@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS.keys())
def test_a_server(net, wait, server):
    """It waits for strangers, alone; it has answered, and so sent last."""
    answer = told(net, f"""
s = {server}
told["before"] = len({wait}(s, timeout=0.7))
peer.sendto(b"question", s.getsockname())
told["asked"] = len({wait}(s))
s.sendto(b"answer", s.recvfrom(10)[1])
told["after"] = len({wait}(s, timeout=0.7))
told["blocking"] = s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == bytes(16)
t = threading.Timer(0.7, lambda: peer.sendto(b"more", s.getsockname()))
t.start()
told["recv"] = error(lambda: s.recv(10))
""", RECV=RECV)
    assert answer == {"before": 0, "asked": 1, "after": 0, "blocking": True, "recv": "b'more'"}


@WAITS
def test_what_owes_nothing(net, wait):
    """Sockets that nothing was asked on: connected ones among several, and one that had its answer."""
    answer = told(net, f"""
a, b, c = dial(), dial(), udp()
c.sendto(b"question", there)
answer().join()
c.recv(10)
told["idle"] = len({wait}(a, b, c, timeout=0.8))
""", RECV=RECV)
    assert answer == {"idle": 0}


@WAITS
def test_without_the_limit(net, wait):
    answer = told(net, f"""
s = dial()
s.send(b"question")
told["idle"] = len({wait}(s, timeout=0.8))
""", CONNECT=RECV, ACCEPT=RECV, IDLE=RECV, LIFETIME=RECV, SEND=RECV, UNACKED=RECV)
    assert answer == {"idle": 0}


@WAITS
def test_observed(net, wait, tmp_path):
    log = tmp_path / "log"
    answer = told(net, f"""
s = dial()
told["idle"] = len({wait}(s, timeout=0.8))
s.setblocking(False)
told["recv"] = error(lambda: s.recv(10))
""", RECV=RECV, MODE="observe", LOG=log)
    assert answer == {"idle": 0, "recv": "EAGAIN"}
    line, = log.read_text().splitlines()
    assert "limit=RECV" in line and "observed=true" in line, line


def test_another_thing_under_its_number(net):
    """The socket was closed where no hook saw it, and a pipe has its number."""
    answer = told(net, """
s = dial()
fd = s.detach()
ctypes.CDLL("libc.so.6").close(fd)
told["same"] = os.pipe()[0] == fd
told["idle"] = len(select.select([fd], [], [], 0.8)[0])
""", RECV=RECV)
    assert answer == {"same": True, "idle": 0}


@pytest.mark.parametrize("make, bounded", [
    ("s = udp('\\0here', socket.AF_UNIX); s.connect('\\0there')", True),
    ("s = udp('\\0here', socket.AF_UNIX); s.sendto(b'q', '\\0there')", False),
    ("s = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0]", False)], ids=["connected", "bound", "pair"])
def test_local_sockets(net, make, bounded):
    answer = told(net, f"""
other = udp('\\0there', socket.AF_UNIX)
{make}
told["ready"], told["after"] = timed(lambda: len(poll_in(s, timeout=0.8)))
s.setblocking(False)
told["recv"] = error(lambda: s.recv(10))
""", RECV=RECV)
    assert (answer["ready"], answer["recv"]) == ((1, "ETIMEDOUT") if bounded else (0, "EAGAIN")), answer


# --- ways to wait ---


def test_it_is_shown_until_it_is_taken(net):
    """As what is there would be, to each wait that asks; not for ever, if it is taken where no hook sees it."""
    answer = told(net, """
s, e = dial(), select.epoll()
e.register(s, select.EPOLLIN)
told["first"] = timed(lambda: len(poll_in(s)))
told["again"] = [len(poll_in(s, timeout=0)), len(select_in(s, timeout=0)), len(epoll_in(s, timeout=0)), len(e.poll(0)),
                 len(e.poll(0))]
told["shown"] = sum(len(poll_in(s, timeout=0)) for i in range(1000))
s.setblocking(False)
told["recv"] = error(lambda: s.recv(10))
told["after"] = [len(poll_in(s, timeout=0)), len(e.poll(0))]
""", RECV=RECV)
    assert answer["first"][0] == 1 and late(answer["first"][1]) and answer["again"] == [1] * 5, answer
    assert 0 < answer["shown"] < 700 and answer["recv"] == "ETIMEDOUT" and answer["after"] == [0, 0], answer


def test_edge_triggered(net):
    answer = told(net, """
s, e = dial(), select.epoll()
e.register(s, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
e.poll(0)
told["first"] = timed(lambda: e.poll(3) == [(s.fileno(), select.EPOLLIN)])
told["again"] = len(e.poll(0))
e.modify(s, select.EPOLLIN | select.EPOLLET)
told["modified"] = len(e.poll(0))
s.setblocking(False)
told["recv"] = error(lambda: s.recv(10))
told["next"] = timed(lambda: len(e.poll(3)))
""", RECV=RECV)
    assert answer["first"][0] and late(answer["first"][1]), answer
    assert (answer["again"], answer["modified"], answer["recv"]) == (0, 1, "ETIMEDOUT"), answer
    assert answer["next"][0] == 1 and late(answer["next"][1]), answer


def test_one_shot(net):
    """After its event it is not waited for: what comes then is not told."""
    answer = told(net, """
s, e = dial(), select.epoll()
e.register(s, select.EPOLLIN | select.EPOLLONESHOT)
s.send(b"question")
told["first"] = timed(lambda: len(e.poll(3)))
answer().join()
told["again"] = len(e.poll(0.5))
e.modify(s, select.EPOLLIN | select.EPOLLONESHOT)
told["modified"] = len(e.poll(3))
told["recv"] = error(lambda: s.recv(10))
""", RECV=RECV)
    assert answer["first"][0] == 1 and late(answer["first"][1]), answer
    assert (answer["again"], answer["modified"], answer["recv"]) == (0, 1, "b'answer'"), answer


@pytest.mark.parametrize("outer", ["outer.poll(3)", "poll_in(e)", "select_in(e)"])
def test_a_set_in_a_set(net, outer):
    answer = told(net, f"""
s, e, outer = dial(), select.epoll(), select.epoll()
e.register(s, select.EPOLLIN)
outer.register(e, select.EPOLLIN)
told["outer"] = timed(lambda: len({outer}))
told["again"] = len(outer.poll(0)), len(poll_in(outer, timeout=0))
told["inner"] = len(e.poll(0))
s.setblocking(False)
told["recv"] = error(lambda: s.recv(10))
told["after"] = len(e.poll(0))
""", RECV=RECV)
    assert answer["outer"][0] == 1 and late(answer["outer"][1]) and answer["again"] == [1, 1], answer
    assert (answer["inner"], answer["recv"], answer["after"]) == (1, "ETIMEDOUT", 0), answer


@WAITS
def test_a_late_listener_is_shown_until_it_is_taken(net, wait):
    answer = told(net, f"""
l = socket.create_server(("127.0.0.1", 0))
told["ready"] = len({wait}(l)), len({wait}(l, timeout=0))
told["accept"] = error(l.accept)
told["after"] = len({wait}(l, timeout=0))
""", ACCEPT=RECV)
    assert answer == {"ready": [1, 1], "accept": "ETIMEDOUT", "after": 0}


@pytest.mark.parametrize("flags", ["0", "select.EPOLLET", "select.EPOLLEXCLUSIVE"])
def test_several_threads(net, flags):
    """Each waits in the set for sockets of all; each socket is told of, and the set goes on."""
    answer = told(net, f"""
e, lock = select.epoll(), threading.Lock()
sockets = {{s.fileno(): s for s in [dial() for i in range(8)]}}
late = {{fd: 0 for fd in sockets}}
for s in sockets.values():
    s.setblocking(False)
    e.register(s, select.EPOLLIN | {flags})
    s.send(b"question")
stop = time.monotonic() + 8
def loop():
    while time.monotonic() < stop and 0 in late.values():
        for fd, event in e.poll(0.2):
            if error(lambda: sockets[fd].recv(10)) == "ETIMEDOUT":
                late[fd] += 1
threads = [threading.Thread(target=loop) for i in range(4)]
for t in threads: t.start()
for t in threads: t.join()
told["late"] = sorted(late.values())
""", RECV=RECV)
    assert answer["late"][0] >= 1, answer


def test_an_event_loop_in_python(net):
    answer = told(net, """
import asyncio
class Client(asyncio.DatagramProtocol):
    def __init__(self): self.events = asyncio.Queue()
    def datagram_received(self, data, addr): self.events.put_nowait(data.decode())
    def error_received(self, exc): self.events.put_nowait(errno.errorcode[exc.errno])

async def main():
    transport, client = await asyncio.get_running_loop().create_datagram_endpoint(Client, remote_addr=there)
    transport.sendto(b"question")
    told["first"] = await asyncio.wait_for(client.events.get(), 5)
    transport.sendto(b"question")
    t = answer()
    told["second"] = await asyncio.wait_for(client.events.get(), 5)
    t.join()
asyncio.run(main())
""", RECV=RECV)
    assert answer == {"first": "ETIMEDOUT", "second": "answer"}
