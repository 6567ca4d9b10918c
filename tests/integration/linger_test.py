"""close with SO_LINGER: it waits until everything is acknowledged, and not for ever."""

import threading

import pytest

import programs
from faults import tcp

CODE = """
linger, how = int(sys.argv[2]), sys.argv[3]
s = dial()
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, linger))
assert struct.unpack("ii", s.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == (1, linger)
sent = s.send(b"x" * 30000)
began = time.monotonic()
if how == "fclose":
    libc.fdopen.restype = ctypes.c_void_p
    stream = libc.fdopen(s.detach(), b"r+")
    result = libc.fclose(ctypes.c_void_p(stream))
elif how.startswith("dup"):
    result = None if os.dup2(0, s.detach(), inheritable=how == "dup2") else 0
else:
    result = s.close()
print(time.monotonic() - began, result, sent)
"""


def close(net, server, linger, how="close", **limits):
    result = net.run(programs.child(CODE, server.port, linger, how), **limits)
    assert result.status == 0, result
    took, error, sent = result.out.split()
    assert error in (b"None", b"0") and sent == b"30000"
    return float(took), result.err.decode()


@pytest.mark.parametrize("how", ["close", "fclose", "dup2", "dup3"])
@pytest.mark.parametrize("limits, name", [({"SEND": "300ms"}, "SEND"), ({"UNACKED": "1s"}, "UNACKED"), ({"SEND": "1h", "UNACKED": "1s"}, "UNACKED")])
def test_no_longer_than_the_limit(net, how, limits, name):
    server = net.serve(tcp.silent, receive_buffer=2048)
    took, told = close(net, server, 30, how, LOG="stderr", **limits)
    assert 1 <= took < 10, took
    assert "operation=close" in told and f"limit={name}" in told and f"peer=127.0.0.1:{server.port}" in told, told


def test_a_dup2_that_fails_changes_nothing(net):
    code = CODE[:CODE.index("sent =")] + """
try:
    os.dup2(999, s.fileno())
except OSError as e:
    print(e.errno, struct.unpack("ii", s.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)))
"""
    result = net.run(programs.child(code, net.serve(tcp.draining).port, 30, ""), SEND="1s")
    assert (result.status, result.out) == (0, b"9 (1, 30)\n"), result


def test_the_programs_own_shorter_time_is_its_own(net):
    took, told = close(net, net.serve(tcp.silent, receive_buffer=2048), 1, SEND="5s", LOG="stderr")
    assert 1 <= took < 3 and not told, (took, told)


def test_nothing_is_lost_on_a_slow_reader(net):
    """The limit passes while the peer reads nothing; it reads later, and gets every byte and an orderly end."""
    received, ended = [], threading.Event()

    def late(connection, stop):
        stop.wait(2)
        while data := connection.recv(65536):
            received.append(len(data))
        ended.set()

    server = net.serve(late, receive_buffer=2048)
    took, _ = close(net, server, 30, SEND="300ms")
    assert took < 2
    assert ended.wait(10) and sum(received) == 30000, received


def test_a_reader_is_waited_for(net):
    took, told = close(net, net.serve(tcp.after(0.5, tcp.draining), receive_buffer=2048), 30, SEND="5s", LOG="stderr")
    assert 0.3 < took < 3 and not told, (took, told)
