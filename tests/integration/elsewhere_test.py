"""A stream that a deadline ended stays ended for processes that did not see it, or have lost the memory of it."""

import pytest

import programs
from faults import tcp

# The stream is ended in this process, and used in one that was forked before, in the program executed after it, or where a
# copy of the descriptor arrives. SIGPIPE ends it, as it ends most programs.
CODE = """
def use(stream, first):
    calls = {"in": (stream.recv, 10), "out": (stream.send, b"x"), "error": (stream.getsockopt, socket.SOL_SOCKET, socket.SO_ERROR),
             "option": (stream.getsockopt, socket.IPPROTO_TCP, 18)}
    stream.settimeout(None)
    tell([error(*calls[name]) for name in first.split(",")])

signal.signal(signal.SIGPIPE, signal.SIG_DFL)
where, way, first, *again = sys.argv[1:]
if way == "executed":
    use(socket.socket(fileno=int(where)), first)
    sys.exit()
stream = dial() if where.isdigit() else socket.socket(socket.AF_UNIX)
if not where.isdigit():
    stream.connect(where)
else:
    stream.setsockopt(socket.IPPROTO_TCP, 18, 77777)
if way == "fork":
    begin, done = os.pipe()
    child = os.fork()
    if not child:
        os.read(begin, 1)
        use(stream, first)
        os._exit(0)
    assert error(stream.recv, 10) == "ETIMEDOUT"
    os.write(done, b"x")
    sys.exit(os.waitpid(child, 0)[1] != 0)
assert error(stream.recv, 10) == "ETIMEDOUT"
if way == "exec":
    os.set_inheritable(stream.fileno(), True)
    os.execv(sys.executable, [*again, str(stream.fileno()), "executed", first])
if way == "received":
    here, there = socket.socketpair()
    socket.send_fds(here, [b"x"], [stream.fileno()])
    use(socket.socket(fileno=socket.recv_fds(there, 1, 1)[1][0]), first)
if way == "here":
    use(stream, first)
"""


def used(net, where, way, first):
    return net.told(CODE, where, way, first, *programs.child(CODE), RECV="300ms")


WAYS = pytest.mark.parametrize("way", ["fork", "exec", "received"])


@WAYS
@pytest.mark.parametrize("first, then", [("in,in,out,out", ["ETIMEDOUT", "ECONNRESET", "ETIMEDOUT", "EPIPE"]),
                                         ("out,out,in,in", ["ETIMEDOUT", "EPIPE", "ETIMEDOUT", "ECONNRESET"]),
                                         ("error,error", ["110", "0"])])
def test_ended(net, way, first, then):
    server = net.serve(tcp.silent)
    assert used(net, server.port, way, first) == then


def test_option_that_carries_the_mark(net):
    """It is read as the program set it."""
    assert used(net, net.serve(tcp.silent).port, "here", "option") == ["77777"]


@WAYS
@pytest.mark.parametrize("first, then", [("in,in", ["ETIMEDOUT", "ECONNRESET"]), ("out,out", ["ETIMEDOUT", "EPIPE"])])
def test_ended_unix(net, tmp_path, way, first, then):
    path = tmp_path / "socket"
    with tcp.socket.socket(tcp.socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert used(net, path, way, first) == then
