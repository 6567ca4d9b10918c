"""Sockets whose birth no hook saw: inherited from a program without the library, received from another process."""

import pytest

import programs
from faults import tcp

# A parent without the library has a connection, made by itself or accepted, and passes it to a child that has it.
PARENT = """
import subprocess
side, way, number, preload, *child = *sys.argv[2:4], int(sys.argv[4]), *sys.argv[5:]
stream = dial()
if side == "inbound":
    listener = socket.create_server(("127.0.0.1", 0))
    stream, client = socket.create_connection(listener.getsockname()), stream
    stream, client = listener.accept()[0], stream
elif side == "listener":
    stream = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(stream.getsockname())
elif side == "pair":
    stream, other = socket.socketpair()
ours, theirs = socket.socketpair()
passed = theirs if way != "inherited" else stream
os.dup2(passed.fileno(), number, True)
process = subprocess.Popen([*child, way, side, str(number)], pass_fds=[number],
                           env=os.environ | ({"LD_PRELOAD": preload} if preload else {}))
if way != "inherited":
    socket.send_fds(ours, [b"x"], [0, stream.fileno()])
sys.exit(process.wait())
"""

CHILD = """
way, side, number = *sys.argv[1:3], int(sys.argv[3])
fd = number
if way == "recvmsg":
    _, fds, _, _ = socket.recv_fds(socket.socket(fileno=number), 1, 5)
    fd = fds[1]
elif way == "recvmmsg":
    byte, control = ctypes.create_string_buffer(1), ctypes.create_string_buffer(64)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(byte), 1)
    message = (ctypes.c_size_t * 8)(0, 0, ctypes.addressof(vector), 1, ctypes.addressof(control), 64, 0, 0)
    assert libc.recvmmsg(number, message, 1, 0, None) == 1
    fd = struct.unpack("QiiII", control.raw[:24])[4]
stream = socket.socket(fileno=fd)
if side == "listener":
    stream, _ = stream.accept()
own = timeval(1)
if "EXPIRES" not in os.environ:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, own)
results = []
began = time.monotonic()
for _ in range(2):
    results.append(error(os.read, fd if side != "listener" else stream.fileno(), 10))
    if "EXPIRES" not in os.environ:
        break
tell([results, time.monotonic() - began, stream.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == own])
"""


def pass_on(net, side, way, number=12, expires=True, library=True, **limits):
    server = net.serve(tcp.silent)
    preload = programs.environment()["LD_PRELOAD"] if library else ""
    variables = {"EXPIRES": "1"} if expires else {}
    return net.told(PARENT, server.port, side, way, number, preload, *programs.child(CHILD), library=False, variables=variables, **limits)


WAYS = pytest.mark.parametrize("way, number", [("inherited", 12), ("inherited", 30), ("recvmsg", 12), ("recvmmsg", 12)])


@WAYS
@pytest.mark.parametrize("side, limit", [("outbound", "RECV"), ("inbound", "INBOUND_RECV"), ("listener", "INBOUND_RECV")])
def test_limits_of_its_side_hold(net, side, limit, way, number):
    results, took, _ = pass_on(net, side, way, number, **{limit: "300ms"})
    assert results == ["ETIMEDOUT", "ECONNRESET"] and 0.3 <= took < 2, (results, took)


@WAYS
@pytest.mark.parametrize("side, limit", [("outbound", "INBOUND_RECV"), ("inbound", "RECV"), ("listener", "RECV"), ("pair", "RECV"),
                                         ("pair", "INBOUND_RECV")])
def test_limits_of_the_other_side_do_not(net, side, limit, way, number):
    """It goes on waiting, until the program's own timeout, which is seen as it was set."""
    assert pass_on(net, side, way, number, expires=False, **{limit: "300ms"})[0::2] == [["EAGAIN"], True]
