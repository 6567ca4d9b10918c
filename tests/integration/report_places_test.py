"""Where an expiry is told, in a real process: how often, from where, and that it never waits."""

import json
import re
import socket
import time

import pytest

import programs
from calls import CALL, LATEST, LIMIT, at
from faults import tcp

MS = f"{LIMIT}ms"

# Connects `count` times and waits on all of them at once, in threads; the stack of a thread is argv[4] bytes.
MANY = """
if len(sys.argv) > 3: threading.stack_size(int(sys.argv[3]))
def wait():
    print(f"{error(dial().recv, 1)}\\n", end="")
threads = [threading.Thread(target=wait) for _ in range(int(sys.argv[2]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""

HANDLER = """
connection = dial()
@ctypes.CFUNCTYPE(None, ctypes.c_int)
def handle(number):
    libc.recv(connection.fileno(), ctypes.create_string_buffer(1), 1, 0)
libc.signal(signal.SIGUSR1, handle)
libc.raise_(signal.SIGUSR1) if hasattr(libc, "raise_") else getattr(libc, "raise")(signal.SIGUSR1)
print("alive")
"""


@pytest.fixture
def server(net):
    return net.serve(tcp.silent)


def test_lines_beyond_ten_a_second_are_dropped_and_counted(net, server):
    log = net.directory / "log"
    code = MANY + "time.sleep(1.1); wait()\n"
    result = net.run(programs.child(code, server.port, "40"), RECV=MS, LOG=str(log))
    assert result.out.split() == [b"ETIMEDOUT"] * 41, result
    lines = log.read_text().splitlines()
    dropped = sum(int(number) for number in re.findall(r" dropped=(\d+)", log.read_text()))
    assert len(lines) + dropped == 41 and 11 <= len(lines) <= 31 and " dropped=" in lines[-1], lines


def test_json_lines(net, server):
    log = net.directory / "log"
    net.run([CALL, at(server), "recv"], RECV=MS, LOG=str(log), LOG_FORMAT="json", BACKTRACE="1")
    record = json.loads(log.read_text())
    assert (record["operation"], record["limit"], record["timeout"], record["program"]) == ("recv", "RECV", LIMIT / 1000, "call")
    assert "main" in record["stack"]


def test_stack_is_left_out_in_a_signal_handler(net, server):
    log = net.directory / "log"
    result = net.run(programs.child(HANDLER, server.port), RECV=MS, LOG=str(log), BACKTRACE="1")
    assert result.out == b"alive\n" and result.elapsed < LATEST / 1000 + 2, result
    line, = log.read_text().splitlines()
    assert "operation=recv" in line and "stack" not in line


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer needs more stack")
def test_stack_is_left_out_on_a_tiny_stack(net, server):
    """48 KB: Python 3.13 itself overruns less. The expiry itself is told, and nothing is overrun."""
    log = net.directory / "log"
    result = net.run(programs.child(MANY, server.port, "1", "49152"), RECV=MS, LOG=str(log), BACKTRACE="1")
    assert result.out == b"ETIMEDOUT\n", result
    line, = log.read_text().splitlines()
    assert "operation=recv" in line and "stack" not in line


@pytest.mark.parametrize("replacement", ["socket", "pipe", "file"])
def test_descriptor_2_that_was_replaced(net, server, replacement):
    """Whatever has the number now gets not one byte."""
    code = f"""
connection = dial({server.port})
ours, theirs = {{"socket": lambda: [s.detach() for s in socket.socketpair()], "pipe": lambda: os.pipe()[::-1],
                "file": lambda: [os.open("/tmp", os.O_TMPFILE | os.O_RDWR)] * 2}}[{replacement!r}]()
os.dup2(ours, 2)
print(error(connection.recv, 1))
os.set_blocking(theirs, False)
try: print(os.read(theirs, 100) if {replacement!r} != "file" else os.pread(ours, 100, 0))
except BlockingIOError: print(b"")
"""
    result = net.run(programs.child(code), RECV=MS, LOG="stderr")
    assert result.out == b"ETIMEDOUT\nb''\n" and result.err == b"", result


SYSLOG = """
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("/dev/log")
print("ready", flush=True)
sys.stdin.readline()
log.settimeout(5)
print(log.recv(2000).decode(), flush=True)
"""


@pytest.fixture
def syslog(net):
    """A reader of /dev/log, in here only: reads one datagram when it is told to."""
    net.do("sh", "-ec", f"mkdir {net.directory}/dev; mount -t tmpfs dev {net.directory}/dev; for name in null zero urandom; do "
                        f": >{net.directory}/dev/$name; mount --bind /dev/$name {net.directory}/dev/$name; done; "
                        f"mount --rbind {net.directory}/dev /dev")
    program = net.start(programs.child(SYSLOG), library=False, stdin=programs.subprocess.PIPE)
    assert program.process.stdout.readline() == b"ready\n"
    return program


def test_syslog(net, server, syslog):
    net.run([CALL, at(server), "recv"], RECV=MS, LOG="syslog")
    syslog.process.stdin.write(b"\n")
    line = syslog.process.stdout.readline().decode()
    assert re.match(r"<28>netdeadline\[\d+\]: time=.* operation=recv .* limit=RECV ", line), line


def test_syslog_whose_reader_does_not_read(net, server, syslog):
    """Its queue is full: the line is lost, and nothing waits."""
    full = "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect('/dev/log'); fill(s); print('full')"
    assert net.run(programs.child(full), library=False).out == b"full\n"
    result = net.run([CALL, at(server), "recv"], RECV=MS, LOG="syslog")
    assert result.status == 0 and result.elapsed < LATEST / 1000 + 1 and b"recv -1 110" in result.out, result


def test_syslog_that_is_not_there(net, server):
    assert b"recv -1 110" in net.run([CALL, at(server), "recv"], RECV=MS, LOG="syslog").out


def test_statsd(net, server):
    """DogStatsD's tags, received by a UDP socket."""
    with net.inside():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(5)
    net.run([CALL, at(server), "recv"], RECV=MS, STATSD=f"127.0.0.1:{receiver.getsockname()[1]}")
    count, elapsed = receiver.recv(2000).decode().splitlines()
    receiver.close()
    name, value, tags = re.fullmatch(r"([a-z.]+):(\d+)\|c\|#(.*)", count).groups()
    assert (name, value) == ("netdeadline.expiry", "1")
    tags = dict(tag.split(":") for tag in tags.split(","))
    assert (tags["op"], tags["program"], tags["limit"]) == ("recv", "call", "RECV")
    ms = re.fullmatch(r"netdeadline\.expiry\.elapsed:(\d+)\|ms\|#op:recv,.*", elapsed)[1]
    assert LIMIT <= int(ms) < LIMIT + LATEST


def test_statsd_beyond_ten_a_second(net, server):
    """Datagrams are not limited: a counter must be right."""
    with net.inside():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    net.run(programs.child(MANY, server.port, "30"), RECV=MS, STATSD=f"127.0.0.1:{receiver.getsockname()[1]}")
    receiver.setblocking(False)
    got = 0
    try:
        while receiver.recv(2000):
            got += 1
    except BlockingIOError:
        pass
    receiver.close()
    assert got == 30


def test_statsd_where_nobody_listens(net, server):
    began = time.monotonic()
    result = net.run([CALL, at(server), "recv"], RECV=MS, STATSD="127.0.0.1:9")
    assert b"recv -1 110" in result.out and result.err == b"" and time.monotonic() - began < LATEST / 1000 + 1, result
