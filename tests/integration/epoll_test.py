"""The wait clock in epoll: what is ended, and what is left alone."""

import pytest

from faults import tcp

LIMIT = 0.3

# Runs `body` with these names and prints what it put into `told`.
CLIENT = """
port, told = int(sys.argv[1]), {}
epoll = select.epoll()

def begin(flags=select.EPOLLIN, address=("127.0.0.1", port)):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(address)
    epoll.register(s, flags)
    return s

def dialled(flags=select.EPOLLIN):
    s = dial()
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
"""


def told(net, body, server=None, **limits):
    server = server or net.serve(tcp.silent)
    return net.told(CLIENT + body + "\ntell(told)", server.port, **limits)


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
    assert LIMIT <= answer["after"] < LIMIT + 1, answer
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
    assert LIMIT - 0.05 <= answer["after"] < LIMIT + 1, answer


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
    assert answer["idle"] is None and LIMIT - 0.01 <= answer["after"] < LIMIT + 1, answer
    assert answer["others"] == ["EAGAIN"] * 4 and answer["it"] == "ETIMEDOUT", answer


def test_pending_connect(net):
    answer = told(net, f"""
s = begin(select.EPOLLOUT, ("{net.blackhole()}", 80))
told["after"] = wait(3)
told["error"] = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ETIMEDOUT
told["again"] = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
""", CONNECT="300ms")
    assert LIMIT - 0.01 <= answer["after"] < LIMIT + 1 and answer["error"] and answer["again"] == 0, answer


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
    assert LIMIT <= answer["after"] < LIMIT + 1 and answer["it"] == "ETIMEDOUT", answer


FILL = """
def fill():
    try:
        while True:
            s.send(bytes(65536))
    except BlockingIOError:
        pass
"""

# Waits for room that are over before a single one would be looked into.
SHORT_WAITS = {
    "poll": ("poll = select.poll(); poll.register(s, select.POLLOUT)", "poll.poll(1)"),
    "epoll": ("epoll.modify(s, select.EPOLLOUT)", "epoll.poll(0.001)"),
    "epoll, with and without": ("", "epoll.modify(s, select.EPOLLOUT); epoll.poll(0.001); epoll.modify(s, select.EPOLLIN); epoll.poll(0.001)"),
    "epoll, in and out": ("", "epoll.unregister(s); epoll.register(s, select.EPOLLOUT); epoll.poll(0.001)"),
}


@pytest.mark.parametrize("before, wait", SHORT_WAITS.values(), ids=SHORT_WAITS)
def test_short_waits_for_room_add_up(net, before, wait):
    answer = told(net, FILL + f"""
s = dialled()
fill()
time.sleep(0.1)
fill()
{before}
began = time.monotonic()
while error(lambda: s.send(b"x")) == "EAGAIN" and time.monotonic() - began < 6:
    {wait}
told["after"] = time.monotonic() - began
told["it"] = [error(lambda: s.send(b"x")), error(lambda: s.recv(1))]
""", net.serve(tcp.silent, receive_buffer=4096), SEND="300ms")
    assert LIMIT <= answer["after"] < 5 and answer["it"] == ["EPIPE", "ETIMEDOUT"], answer


# What happens between the end of the connect, seen in a wait, and the long wait for room in a set that tells of it all along.
BEFORE = {
    "a wait in vain": "epoll.modify(s, select.EPOLLOUT | select.EPOLLET); epoll.poll(0); told['ready'] = epoll.poll(0.5); fill(); "
                      "told['ready'] = wait(3)",
    "a look that finds room": "epoll.poll(); epoll.poll(); time.sleep(0.5); epoll.poll(); fill(); told['ready'] = wait(3)",
    "another thread's send": "epoll.modify(s, select.EPOLLOUT | select.EPOLLET); epoll.poll(0); time.sleep(0.5); "
                             "threading.Timer(0.5, fill).start(); told['ready'] = wait(3)",
}


@pytest.mark.parametrize("threads", [False, True], ids=["alone", "with threads"])
@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_no_room_in_a_set_that_is_never_changed(net, before, threads):
    """Libev leaves the registration as the connect had it."""
    start = "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n" if threads else ""
    answer = told(net, start + FILL + f"""
s = begin(select.EPOLLOUT)
while not epoll.poll(0):
    time.sleep(0.01)
told["error"] = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
{before}
told["it"] = error(lambda: s.send(b"x"))
""", net.serve(tcp.silent, receive_buffer=4096), SEND="300ms")
    assert answer["error"] == 0 and answer["ready"] < LIMIT + 2 and answer["it"] == "ETIMEDOUT", answer


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


def test_one_shot(net):
    """Bounded while it is waited for: not between its delivery and its next registration, when the program is at work on it.
    Its data may be anything."""
    answer = told(net, """
class Event(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("events", ctypes.c_uint32), ("data", ctypes.c_uint64)]
def control(op, s):
    assert libc.epoll_ctl(epoll.fileno(), op, s.fileno(), ctypes.byref(Event(select.EPOLLIN | select.EPOLLONESHOT, data))) == 0
def await_it(seconds):
    event = Event()
    return libc.epoll_wait(epoll.fileno(), ctypes.byref(event), 1, int(seconds * 1000)), event.data == data
data = 0x1234567812345678
s = socket.create_connection(("127.0.0.1", port))
control(1, s)
told["delivered"] = await_it(1)
told["hello"] = error(lambda: s.recv(10))
told["in work"] = await_it(0.8)
told["alive"] = error(lambda: s.recv(1, socket.MSG_DONTWAIT))
control(3, s)
began = time.monotonic()
told["armed"] = await_it(2)
told["after"] = time.monotonic() - began
told["it"] = error(lambda: s.recv(1))
""", net.serve(tcp.greeting(b"hello")), RECV="300ms")
    assert answer["delivered"] == [1, True] and answer["hello"] == "b'hello'", answer
    assert answer["in work"] == [0, False] and answer["alive"] == "EAGAIN", answer
    assert answer["armed"] == [1, True] and LIMIT - 0.05 <= answer["after"] < LIMIT + 1 and answer["it"] == "ETIMEDOUT", answer


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_limit_comes_to_a_set_without_one(net, when):
    """Waits for a set go straight while no limit holds in it: a connect that begins on a socket of it, or is added to it."""
    answer = told(net, f"""
s = dialled()
told["before"] = [wait(0.05) for _ in range(3)]
c = socket.socket()
c.setblocking(False)
if {when!r} == "before":
    epoll.register(c, select.EPOLLOUT)
    epoll.poll(0.05)  # it is no connection yet: it shows as ended
    epoll.modify(c, 0)
    epoll.poll(0.05)
    epoll.modify(c, select.EPOLLOUT | select.EPOLLET)
    epoll.poll(0.05)
c.connect_ex(({net.blackhole()!r}, 80))
if {when!r} == "after":
    epoll.register(c, select.EPOLLOUT)
told["after"] = wait(3, c)
told["it"] = error(lambda: c.send(b"x"))
told["other"] = error(lambda: s.recv(1))
""", CONNECT="300ms")
    assert answer["before"] == [None] * 3 and answer["other"] == "EAGAIN", answer
    assert answer["after"] is not None and answer["after"] < LIMIT + 2 and answer["it"] == "ETIMEDOUT", answer


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("outer", ["epoll", "poll", "select"])
def test_a_set_in_a_set(net, outer, when):
    """The socket is in one that is waited for only by way of another; added to it before it was put there, or after."""
    answer = told(net, f"""
inner = epoll
if {when!r} == "before":
    s = dialled()
middle, top = select.epoll(), select.epoll()
middle.register(inner, select.EPOLLIN)
top.register(middle, select.EPOLLIN)
p = select.poll()
p.register(middle, select.POLLIN)
if {when!r} == "after":
    s = dialled()
began = time.monotonic()
told["ready"] = len({{"epoll": lambda: top.poll(2), "poll": lambda: p.poll(2000),
                     "select": lambda: select.select([middle], [], [], 2)[0]}}[{outer!r}]())
told["after"] = time.monotonic() - began
told["it"] = error(lambda: s.recv(1))
""", RECV="300ms")
    assert answer["ready"] == 1 and LIMIT - 0.02 <= answer["after"] < LIMIT + 1 and answer["it"] == "ETIMEDOUT", answer


def test_a_new_set_for_each_wait(net):
    answer = told(net, """
s = dialled()
epoll.close()
began = time.monotonic()
while time.monotonic() - began < 2:
    with select.epoll() as each:
        each.register(s, select.EPOLLIN)
        if each.poll(0.03):
            break
told["after"] = time.monotonic() - began
""", RECV="300ms")
    assert LIMIT - 0.05 <= answer["after"] < LIMIT + 1, answer


def test_registrations_that_change_do_not_put_it_off(net):
    answer = told(net, """
s, (a, b) = dialled(), socket.socketpair()
began = time.monotonic()
epoll.register(a, 0)
while time.monotonic() - began < 6:
    epoll.modify(a, select.EPOLLOUT if int(time.monotonic() * 100) % 2 else 0)
    epoll.modify(s, select.EPOLLIN)
    if any(fd == s.fileno() for fd, _ in epoll.poll(0.001)):
        break
told["after"] = time.monotonic() - began
""", RECV="300ms")
    assert LIMIT - 0.05 <= answer["after"] < LIMIT + 4, answer


def test_in_two_sets(net):
    """Waited for in the first, though it was added to another later."""
    answer = told(net, """
s = dialled()
other = select.epoll()
other.register(s, select.EPOLLIN)
told["after"] = wait(2)
""", RECV="300ms")
    assert LIMIT - 0.02 <= answer["after"] < LIMIT + 1, answer


def test_a_thousand(net):
    """One of many owes a reply; the others are left alone, and looking for it costs next to nothing."""
    answer = told(net, """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (2000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
many = [dialled() for _ in range(800)]
many[400].send(b"a question")
began, cpu = time.monotonic(), time.process_time()
told["after"] = wait(3, many[400])
told["it"] = error(lambda: many[400].recv(1))
epoll.unregister(many[400])
told["idle"] = wait(1)
told["cpu"] = time.process_time() - cpu
told["others"] = sorted({error(lambda: s.recv(1)) for s in many if s is not many[400]})
""", RECV="300ms")
    assert LIMIT - 0.05 <= answer["after"] < LIMIT + 1 and answer["it"] == "ETIMEDOUT", answer
    assert answer["idle"] is None and answer["others"] == ["EAGAIN"] and answer["cpu"] < 0.3, answer


def test_expiry_is_seen_everywhere(net):
    """By other sets, other threads and other processes that wait for the connection."""
    answer = told(net, """
s = dialled()
other = select.epoll()
other.register(s, select.EPOLLIN | select.EPOLLET)
seen = []
threading.Thread(target=lambda: seen.append(bool(other.poll(3))), daemon=True).start()
child = os.fork()
if child == 0:
    os.environ.clear()
    ready = select.poll()
    ready.register(s, select.POLLIN)
    os._exit(0 if ready.poll(3000) and error(lambda: s.recv(1)) not in ("EAGAIN", "b''") else 1)
told["after"] = wait(3)
told["child"] = os.waitpid(child, 0)[1]
time.sleep(0.1)
told["thread"] = seen
""", RECV="300ms")
    assert LIMIT - 0.05 <= answer["after"] < LIMIT + 1 and answer["child"] == 0 and answer["thread"] == [True], answer


def test_the_program_s_own_timeout(net):
    answer = told(net, """
s = dialled()
began = time.monotonic()
told["events"] = len(epoll.poll(0.2))
told["after"] = time.monotonic() - began
""", RECV="5s")
    assert answer["events"] == 0 and 0.2 <= answer["after"] < 0.35, answer


THREAD = """
def dialled_unseen():
    s = dial()
    s.setblocking(False)
    return s

found = []
def loop():
    began = time.monotonic()
    found.append((epoll.poll(6), time.monotonic() - began))
r, w = os.pipe()
epoll.register(r, select.EPOLLIN)
"""


@pytest.mark.parametrize("before", ["", "epoll.register(dialled_unseen(), 0)"], ids=["the first", "another"])
@pytest.mark.parametrize("after", [0.2, 1.5])
def test_added_while_another_thread_waits(net, before, after):
    """Nothing wakes a thread that waits in the kernel when another one adds a socket."""
    answer = told(net, THREAD + f"""
{before}
thread = threading.Thread(target=loop)
thread.start()
time.sleep({after})
s = dialled_unseen()
added = time.monotonic()
epoll.register(s, select.EPOLLIN)
thread.join()
told["fds"], told["after"] = [fd == s.fileno() for fd, _ in found[0][0]], time.monotonic() - added
""", RECV="300ms")
    assert answer["fds"] == [True] and LIMIT - 0.01 <= answer["after"] < LIMIT + 2, answer


@pytest.mark.parametrize("how", ["register", "modify"])
def test_the_wait_before_does_not_count(net, how):
    """A socket that comes into a wait that is under way gets its whole time."""
    answer = told(net, THREAD + f"""
s = dialled_unseen()
s.send(b"a question")
if {how!r} == "modify":
    epoll.register(s, 0)
time.sleep(1)
thread = threading.Thread(target=loop)
thread.start()
time.sleep(0.95)
added = time.monotonic()
epoll.{how}(s, select.EPOLLIN)
thread.join()
told["fds"], told["after"] = [fd == s.fileno() for fd, _ in found[0][0]], time.monotonic() - added
""", RECV="1s")
    assert answer["fds"] == [True] and 0.98 <= answer["after"] < 3, answer
