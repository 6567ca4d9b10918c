"""Several descriptors of one socket: what is set through one holds for all, and a wait for two of them is a wait for one connection."""

import socket
import subprocess
import time

import pytest

import programs
from faults import tcp

SETTING = """
def show(s):
    return [s.getsockopt(*o, 16).hex() for o in ((1, socket.SO_RCVTIMEO), (1, socket.SO_SNDTIMEO), (1, socket.SO_KEEPALIVE),
            (6, socket.TCP_KEEPIDLE), (6, socket.TCP_SYNCNT), (1, socket.SO_LINGER), (1, socket.SO_RCVLOWAT))]
a = socket.socket()
b = a.dup()
a.connect(("127.0.0.1", int(sys.argv[1])))
c = socket.socket(fileno=fcntl.fcntl(b.fileno(), fcntl.F_DUPFD_CLOEXEC, 20))
seen = []
for n, s in enumerate((a, b, c, a)):
    for o, value in (((1, socket.SO_RCVTIMEO), timeval(7 - n)), ((1, socket.SO_SNDTIMEO), timeval(n / 1000)),
                     ((1, socket.SO_KEEPALIVE), n % 2), ((6, socket.TCP_KEEPIDLE), 90 + n), ((1, socket.SO_RCVTIMEO), bytes(16))):
        s.setsockopt(*o, value)
        seen.append([show(x) for x in (a, b, c)])
tell(seen)
"""


@pytest.mark.parametrize("limits", [{}, {"RECV": "300ms", "SEND": "300ms", "KEEPALIVE": "30s"}], ids=str)
def test_options(net, limits):
    server = net.serve(tcp.silent)
    without, under = (net.told(SETTING, server.port, library=library, **limits) for library in (False, True))
    assert under == without


# What is done, with the error that the copy's next call gives.
WAITS = {
    "made before connect": """
a = socket.socket()
b = a.dup()
a.connect(("127.0.0.1", int(sys.argv[1])))
told = timed(lambda: error(lambda: b.recv(1)))
""",
    "blocking again": """
a = dial()
os.set_blocking(a.fileno(), False)
b = a.dup()
os.set_blocking(b.fileno(), True)
told = timed(lambda: error(lambda: os.read(a.fileno(), 1)))
""",
    "poll": """
a = dial()
b = a.dup()
p = select.poll()
p.register(a, select.POLLIN)
p.register(b, select.POLLIN)
waited = timed(lambda: error(lambda: p.poll(6000)))
told = timed(lambda: error(lambda: b.recv(1)))[0], waited[1]
""",
    "select": """
a = dial()
b = a.dup()
waited = timed(lambda: error(lambda: select.select([a, b], [], [], 6)))
told = timed(lambda: error(lambda: b.recv(1)))[0], waited[1]
""",
    "epoll": """
a = dial()
b = a.dup()
p = select.epoll()
p.register(a, select.EPOLLIN)
p.register(b, select.EPOLLIN)
waited = timed(lambda: error(lambda: p.poll(6)))
told = timed(lambda: error(lambda: b.recv(1)))[0], waited[1]
""",
}


@pytest.mark.parametrize("wait", WAITS)
def test_waits(net, wait):
    error, seconds = net.told(WAITS[wait] + "tell(told)", net.serve(tcp.silent).port, RECV="300ms")
    assert error == "ETIMEDOUT" and 0.29 <= seconds < 3.3, (error, seconds)


# Each look is through a copy of its own.
LOOKS = {
    "replaced": """
for i in range(60):
    os.dup2(a.fileno(), 50)
    told = look(50)
    os.dup2(2, 50)
""",
    "closed": """
for i in range(60):
    copy = os.dup(a.fileno())
    told = look(copy)
    os.close(copy)
""",
    "moved": """
last = a.detach()
for i in range(60):
    copy = fcntl.fcntl(last, fcntl.F_DUPFD_CLOEXEC, 30)
    os.close(last)
    last = copy
    told = look(last)
""",
}

BEGIN_LOOKS = """
def look(fd):
    if not select.select([fd], [], [], 0.1)[0]:
        return
    tell([error(os.read, fd, 1), time.monotonic() - began])
    sys.exit()
a = dial()
began = time.monotonic()
"""


@pytest.mark.parametrize("limits", [{"RECV": "300ms"}, {"IDLE": "300ms"}], ids=str)
@pytest.mark.parametrize("how", LOOKS)
def test_waits_of_new_copies_add_up(net, how, limits):
    error, seconds = net.told(BEGIN_LOOKS + LOOKS[how], net.serve(tcp.silent).port, **limits)
    assert error == "ETIMEDOUT" and 0.29 <= seconds < 3.3, (error, seconds)


def test_a_shell_that_looks_again_and_again(net):
    script = "exec 3<>/dev/tcp/127.0.0.1/$1; for i in {1..60}; do read -t 0.1 -r line <&3; [ $? -gt 128 ] || { echo ended; exit; }; done"
    done = net.run(["bash", "-c", script, "bash", net.serve(tcp.silent).port], RECV="300ms")
    assert done.status == 0 and done.out == b"ended\n" and b"Connection timed out" in done.err, done
    assert done.elapsed < 4, done


# The side that asks, waited in vain and then asks through a copy, has its whole limit for the answer; asking again does not renew it.
ASKS = """
def ask(byte):
    copy = os.dup(a.fileno())
    os.write(copy, byte)
    os.close(copy)
a = dial()
keep = a.dup()
"""


def answers_late(connection, _):
    """Each question 1.2 seconds after it was asked, the last never."""
    for _ in range(2):
        connection.recv(1)
        time.sleep(1.2)
        connection.sendall(b"a")
    while connection.recv(1):
        pass


def test_a_question_through_a_copy(net):
    body = ASKS + """
told = []
for i in range(2):
    told.append(select.select([a], [], [], 1.2)[0] == [])
    ask(b"q")
    told.append(timed(lambda: error(lambda: (select.select([a], [], [], 6), a.recv(1).decode())[1]))[0])
began = time.monotonic()
while not select.select([a], [], [], 0.1)[0] and time.monotonic() < began + 9:
    ask(b"q")
told.append(timed(lambda: error(lambda: a.recv(1)))[0])
tell([told, time.monotonic() - began])
"""
    told, seconds = net.told(body, net.serve(answers_late).port, RECV="2s")
    assert told == [True, "'a'", True, "'a'", "ETIMEDOUT"] and 1.9 <= seconds < 7, (told, seconds)


def test_two_connections_are_two(net):
    """Where neither owes a reply none is ended, however many descriptors each has."""
    body = """
a, b = dial(), dial()
c, d = a.dup(), b.dup()
tell(error(select.select, [a, b, c, d], [], [], 0.9))
"""
    assert net.told(body, net.serve(tcp.silent).port, RECV="300ms") == "([], [], [])"


def test_inetd(net):
    """One connection on 0 and 1, and a server that waits for both."""
    with net.inside():
        ours, theirs = tcp_pair()
    with ours, theirs:
        body = "p = select.poll(); p.register(0, 1); p.register(1, 0); print(p.poll(6000), file=sys.stderr)"
        process = subprocess.Popen(programs.child(body), stdin=theirs, stdout=theirs, stderr=subprocess.PIPE,
                                   env=programs.environment(INBOUND_RECV="300ms", RECV="300ms"))
        _, told = process.communicate(timeout=20)
        assert process.returncode == 0 and b"(0, 25)" in told, told


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        return ours, listener.accept()[0]
