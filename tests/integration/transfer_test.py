"""Calls that cannot be tried without waiting: sendfile and splice; and those of several messages, sendmmsg and recvmmsg."""

import hashlib
import json

import pytest

import programs
from faults import tcp

CODE = """
import hashlib
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
s = dial()
f = tempfile.TemporaryFile()
f.truncate(64 << 20)
r, w = os.pipe()

class Message(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint), ("vector", ctypes.c_void_p), ("count", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t), ("flags", ctypes.c_int), ("pad", ctypes.c_int),
                ("length", ctypes.c_uint)]

kept = []

def messages(*parts):
    made = (Message * len(parts))()
    vectors = [(ctypes.c_size_t * 2)(ctypes.addressof(part), len(part)) for part in parts]
    for message, vector in zip(made, vectors):
        message.vector, message.count = ctypes.addressof(vector), 1
    kept.append((parts, vectors))
    return made

def sendfile(count=64 << 20):
    return libc.sendfile(s.fileno(), f.fileno(), None, ctypes.c_size_t(count))

several = messages(*[ctypes.create_string_buffer(1 << 20) for _ in range(3)])

def sendmmsg():
    return libc.sendmmsg(s.fileno(), several, 3, 0)

def splice_in():
    return libc.splice(s.fileno(), None, w, None, ctypes.c_size_t(100), 0)

def fill_pipe():
    os.set_blocking(w, False)
    try:
        while True:
            os.write(w, bytes(4096))
    except BlockingIOError:
        os.set_blocking(w, True)

def splice_out(count=1 << 20):
    os.set_blocking(w, False)
    try:
        os.write(w, bytes(65536))
    except BlockingIOError:
        pass
    os.set_blocking(w, True)
    return libc.splice(r, None, s.fileno(), None, ctypes.c_size_t(count), 0)

def recvmmsg():
    return libc.recvmmsg(s.fileno(), several, 3, 0, None)

def until_error(call):
    began = time.monotonic()
    while (n := globals()[call]()) > 0:
        pass
    return n, errno.errorcode.get(ctypes.get_errno()), time.monotonic() - began

told = None
"""


def start(net, server, body, **limits):
    return net.start(programs.child(f"{CODE}\n{body}\ntell(told)", server.port), **limits)


def run(net, server, body, **limits):
    result = start(net, server, body, **limits).finish(40)
    assert result.status == 0, result
    return json.loads(result.out)


OUT, IN = ["sendfile", "sendmmsg", "splice_out"], ["splice_in", "recvmmsg"]
LATER = dict.fromkeys(OUT, "EPIPE") | dict.fromkeys(IN, "ECONNRESET")
LIMITS = [(call, {limit: "300ms"}) for call in OUT for limit in ("SEND", "IDLE", "LIFETIME")]
LIMITS += [(call, {limit: "300ms"}) for call in IN for limit in ("RECV", "IDLE", "LIFETIME")]
LIMITS += [(call, {"MIN_RATE": "1k/300ms"}) for call in OUT + IN]


@pytest.mark.parametrize("call, limit", LIMITS, ids=[f"{call}-{next(iter(limit))}" for call, limit in LIMITS])
def test_expiry(net, call, limit):
    server = net.serve(tcp.silent, receive_buffer=4096)
    first, second = run(net, server, f"told = [until_error('{call}') for _ in range(2)]", **limit)
    assert first[:2] == [-1, "ETIMEDOUT"] and 0.2 <= first[2] < 6, (first, second)
    assert second[:2] == [-1, LATER[call]] and second[2] < 3, (first, second)


@pytest.mark.parametrize("call", OUT)
def test_peer_is_gone(net, call):
    server = net.serve(tcp.silent, receive_buffer=4096)
    program = start(net, server, f"s.send(bytes(10000)); print(1, flush=True); time.sleep(0.5); told = until_error('{call}')", UNACKED="1s")
    program.process.stdout.readline()
    net.drop(f"tcp dport {server.port}")
    result = program.finish()
    assert result.status == 0, result
    n, error, took = json.loads(result.out)
    assert (n, error) == (-1, "ETIMEDOUT") and 0.9 <= took < 8, (n, error, took)


@pytest.mark.parametrize("call", OUT)
def test_paused_reader_is_not_gone(net, call):
    """Its window is closed for longer than UNACKED and more; then everything goes on."""
    server = net.serve(tcp.after(2, tcp.draining), receive_buffer=4096)
    assert run(net, server, f"told = [{call}() for _ in range(2)]", UNACKED="500ms")[0] > 0


@pytest.mark.parametrize("limits", [{}, {"SEND": "10s", "IDLE": "10s"}, {"LIFETIME": "1h"}], ids=["defaults", "limits", "lifetime"])
@pytest.mark.parametrize("call", OUT)
def test_every_byte_once(net, call, limits):
    """To a reader that is slow, while a handler runs again and again, and with numbers that a short count would betray."""
    digest, ended = hashlib.sha256(), []

    def reader(connection, stop):
        while data := connection.recv(8192):
            digest.update(data)
            stop.wait(0.01)
        ended.append(True)
        connection.sendall(b"!")

    answer = run(net, net.serve(reader, receive_buffer=8192), f"""
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, False)
data = os.urandom(700000)
f.seek(0), f.truncate(0), f.write(data), f.flush(), f.seek(0)
parts = [ctypes.create_string_buffer(data[i:i + 70000], 70000) for i in range(0, len(data), 70000)]
before = s.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16)
threading.Thread(target=lambda: [os.write(w, data[i:i + 10000]) for i in range(0, len(data), 10000)] + [os.close(w)],
                 daemon=True).start() if "{call}" == "splice_out" else None
if "{call}" == "sendfile":
    told = [sendfile(1 << 20), f.tell()]
elif "{call}" == "sendmmsg":
    made = messages(*parts)
    told = [libc.sendmmsg(s.fileno(), made, len(parts), 0), sum(message.length for message in made)]
else:
    moved = 0
    while (n := libc.splice(r, None, s.fileno(), None, ctypes.c_size_t(1 << 20), 0)) > 0:
        moved += n
    told = [n, moved]
assert s.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16) == before == bytes(16)
s.shutdown(socket.SHUT_WR)
told += [s.recv(9).decode(), hashlib.sha256(data).hexdigest()]
""", **limits)
    first = {"sendfile": 700000, "sendmmsg": 10, "splice_out": 0}[call]
    assert ended and answer == [first, 700000, "!", digest.hexdigest()], (answer, digest.hexdigest())


@pytest.mark.parametrize("call", ["sendfile", "splice_out"])
def test_the_programs_own_timeout_is_its_own(net, call):
    server = net.serve(tcp.silent, receive_buffer=4096)
    error, took, after = run(net, server, f"""
own = struct.pack("@ll", 0, 400000)
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, own)
_, *told = until_error('{call}')
told.append(s.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16) == own)
""", SEND="10s")
    assert error == "EAGAIN" and 0.3 < took < 6 and after, (error, took)


@pytest.mark.parametrize("call", ["sendfile", "splice_out"])
def test_non_blocking(net, call):
    server = net.serve(tcp.silent, receive_buffer=4096)
    for how in ("s.setblocking(False)", "os.set_blocking(os.dup(s.fileno()), False)"):
        error, took = run(net, server, f"{how}\n_, *told = until_error('{call}')", SEND="10s")
        assert error == "EAGAIN" and took < 3, (error, took)


@pytest.mark.parametrize("blocking, limit, end", [
    (True, "RECV", "s.recv(1)"), (False, "RECV", "s.recv(1)"), (False, "SEND", "s.sendall(bytes(1 << 24))")],
    ids=["blocking", "non-blocking", "nothing noted"])
@pytest.mark.parametrize("call", ["sendfile", "sendfile small", "splice_out", "sendmmsg", "send", "write", "sendmsg"])
def test_no_signal_in_a_process_forked_before(net, call, blocking, limit, end):
    """The parent's deadline ended the stream; SIGPIPE would end the child."""
    if limit == "SEND" and not call.startswith(("sendfile", "splice")):
        pytest.skip("goes straight to the kernel, as it would without a limit")
    status, error, again = run(net, net.serve(tcp.silent), f"""
go, come = os.pipe(), os.pipe()
if not (child := os.fork()):
    os.read(go[0], 1)
    s.setblocking({blocking})
    call = {{"sendfile": sendfile, "sendfile small": lambda: sendfile(100), "splice_out": splice_out, "sendmmsg": sendmmsg,
            "send": lambda: libc.send(s.fileno(), b"x", 1, 0), "write": lambda: libc.write(s.fileno(), b"x", 1),
            "sendmsg": lambda: libc.sendmsg(s.fileno(), several, 0)}}["{call}"]
    n = call()
    os.write(come[1], errno.errorcode.get(ctypes.get_errno(), str(n)).encode() + b" ")
    n = call()
    os.write(come[1], errno.errorcode.get(ctypes.get_errno(), str(n)).encode())
    os._exit(0)
try:
    {end}
except OSError:
    os.write(go[1], b"x")
_, status = os.waitpid(child, 0)
told = [status, *os.read(come[0], 99).decode().split()] if status == 0 else [status, None, None]
""", **{limit: "300ms"})
    assert (status, error, again) == (0, "ETIMEDOUT", "EPIPE"), (status, error, again)


def test_several_messages_come(net):
    """Under a limit that no timer of the kernel's keeps, each message is waited for."""
    answer = run(net, net.serve(tcp.after(0.3, lambda connection, stop: [connection.sendall(b"ab"), stop.wait(0.3), connection.sendall(b"cdefgh"), stop.wait()])), """
parts = [ctypes.create_string_buffer(2) for _ in range(3)]
made = messages(*parts)
first = libc.recvmmsg(s.fileno(), made, 3, 0, None)
told = [first, [part.raw.decode() for part in parts], [message.length for message in made]]
told.append(libc.recvmmsg(s.fileno(), made, 3, 0x10000, None))  # MSG_WAITFORONE
""", IDLE="5s")
    assert answer == [3, ["ab", "cd", "ef"], [2, 2, 2], 1], answer


def test_a_pipe_that_nobody_reads_is_told_at_once(net):
    n, error, took = run(net, net.serve(tcp.silent), """
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
os.close(r)
told = until_error("splice_in")
""", IDLE="5s")
    assert (n, error) == (-1, "EPIPE") and took < 3, (n, error, took)


@pytest.mark.parametrize("call", OUT + IN)
def test_observed(net, call):
    """MODE=observe tells what would have ended it, and waits on."""
    limit = "SEND" if call in OUT else "RECV"

    def late(connection, stop):
        stop.wait(1.5)
        connection.sendall(bytes(3 << 20) if call in IN else b"")
        tcp.draining(connection, stop)

    program = start(net, net.serve(late, receive_buffer=4096), f"""
began = time.monotonic()
told = [{call}(), time.monotonic() - began]
""", MODE="observe", LOG="stderr", **{limit: "300ms"})
    result = program.finish()
    assert result.status == 0, result
    moved, took = json.loads(result.out)
    name = call.split("_")[0]
    line = result.err.decode().split()
    assert moved > 0 and took > 0.5 and {f"operation={name}", f"limit={limit}", "observed=true"} <= set(line), result


RESULTS = """
def call(function, *arguments):
    ctypes.set_errno(77)
    return function(*arguments), ctypes.get_errno()

told = []
small = messages(ctypes.create_string_buffer(10), ctypes.create_string_buffer(10))
more = messages(ctypes.create_string_buffer(10), ctypes.create_string_buffer(10))
number = s.fileno()
told.append([call(libc.sendmmsg, number, small, *how) for how in [(2, 0), (0, 0), (2, 0x4000000), (2, socket.MSG_OOB)]])
told.append([call(libc.sendmmsg, number, None, 2, 0), [message.length for message in small]])
time.sleep(0.3)
told.append([call(libc.recvmmsg, number, more, *how, None) for how in [(0, 0), (1, socket.MSG_PEEK), (2, 0x10000), (1, socket.MSG_DONTWAIT)]])
told.append([call(libc.recvmmsg, number, None, 2, 0x10000, None), [message.length for message in more]])
small[1].count = 2000
told.append(call(libc.sendmmsg, number, small, 2, 0))
small[1].count, small[1].vector = 1, 8
told.append(call(libc.sendmmsg, number, small, 2, 0))
small[0].count = small[1].count = 0
told.append(call(libc.sendmmsg, number, small, 2, 0))
told.append([call(libc.sendfile, number, *how) for how in [(99, None, 5), (f.fileno(), None, 0), (number, None, 5)]])
os.close(w)
told.append([call(libc.splice, source, None, number, None, size, 0) for source, size in [(r, 5), (r, 0), (f.fileno(), 5), (99, 5)]])
f.truncate(5000)
offset = ctypes.c_long(10)
told.append([call(libc.sendfile, number, f.fileno(), ctypes.byref(offset), ctypes.c_size_t(1 << 20)), offset.value, f.tell()])
told.append([call(libc.sendfile, number, f.fileno(), None, ctypes.c_size_t(1 << 20)), os.lseek(f.fileno(), 0, os.SEEK_CUR)])
s.close()
told.append([call(libc.sendmmsg, number, small, 2, 0), call(libc.sendfile, number, f.fileno(), None, 5)])
"""

EVERY = {"RECV": "9s", "SEND": "9s", "IDLE": "9s", "LIFETIME": "99s", "MIN_RATE": "1/30s"}


@pytest.mark.parametrize("limits", [{}, EVERY, {"RECV": "9s", "SEND": "9s"}, EVERY | {"MODE": "observe"}],
                         ids=["defaults", "every limit", "kernel's limits", "observe"])
def test_results_are_the_kernels(net, limits):
    """Counts, errors, and an errno that success leaves alone."""
    without = run(net, net.serve(tcp.echo), RESULTS, library=False)
    assert without[0][0] == [2, 77] and run(net, net.serve(tcp.echo), RESULTS, **limits) == without


@pytest.mark.parametrize("limit, delay", [({"RECV": "300ms"}, 0.1), ({"RECV": "300ms"}, 1.5), ({"IDLE": "300ms"}, 0.1)], ids=str)
def test_a_full_pipe_is_not_the_peer(net, limit, delay):
    """The call waits for the pipe, whether the socket has bytes or has none yet; a signal then ends the call, not the connection."""
    answer = run(net, net.serve(tcp.drip(b"drip" * 20, delay)), """
s.send(b"question")
fill_pipe()
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, True)
signal.setitimer(signal.ITIMER_REAL, 0.8)
told = [until_error("splice_in")[1], time.sleep(1), s.recv(1).decode()]
""", **limit)
    assert answer == ["EINTR", None, "d"], answer


SPLICE_F_NONBLOCK = 2


@pytest.mark.parametrize("limit", [{"RECV": "300ms"}, {"IDLE": "300ms"}], ids=str)
def test_splice_nonblock_is_about_the_pipe(net, limit):
    """The kernel waits for a TCP socket all the same, but not for a full pipe."""
    answer = run(net, net.serve(tcp.silent), f"""
def splice_in():
    return libc.splice(s.fileno(), None, w, None, ctypes.c_size_t(100), {SPLICE_F_NONBLOCK})
fill_pipe()
told = [until_error("splice_in")]
os.read(r, 1 << 20)
told.append(until_error("splice_in"))
""", **limit)
    assert answer[0][1] == "EAGAIN" and answer[1][1] == "ETIMEDOUT" and answer[1][2] < 3.3, answer


@pytest.mark.parametrize("call, limit", [("sendfile", "SEND"), ("splice_out", "SEND"), ("splice_in", "RECV"), ("recvmmsg", "RECV")])
def test_interrupted_calls_add_up(net, call, limit):
    """The handler asks for no restart, and the program calls again each time."""
    outcome, seconds = run(net, net.serve(tcp.silent, receive_buffer=4096), f"""
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, True)
signal.setitimer(signal.ITIMER_REAL, 0.015, 0.015)
began = time.monotonic()
while (n := {call}()) > 0 or (n < 0 and ctypes.get_errno() == errno.EINTR and time.monotonic() - began < 6):
    pass
told = [n < 0 and errno.errorcode[ctypes.get_errno()], time.monotonic() - began]
signal.setitimer(signal.ITIMER_REAL, 0)
""", **{limit: "300ms"})
    assert outcome == "ETIMEDOUT" and seconds < 5.5, (outcome, seconds)
