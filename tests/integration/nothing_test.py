"""Calls that the kernel answers at once, whatever they are given to wait for: nothing asked for, nothing to say, a socket that is
shut down. Their answers are those without the library, under limits that lie far away."""

import pytest

CODE = """
told, pipes = {}, []
signal.signal(signal.SIGPIPE, lambda *_: pipes.append(1))

def note(name, call):
    result, seconds = timed(lambda: error(call))
    told[name] = result, seconds < 5, len(pipes)
    pipes.clear()

a, b = tcp_pair()
note("read", lambda: os.read(a.fileno(), 0))
note("readv", lambda: os.readv(a.fileno(), [bytearray(0), bytearray(0)]))
note("writev", lambda: os.writev(a.fileno(), [b"", b""]))
a.shutdown(socket.SHUT_WR)
note("writev shut down", lambda: os.writev(a.fileno(), [b"", b""]))
note("write shut down", lambda: os.write(a.fileno(), b""))

a, b = udp(), udp(("127.0.0.1", 0))
a.connect(b.getsockname())
note("writev datagram", lambda: os.writev(a.fileno(), [b""]))
note("which is none", lambda: b.recv(10, socket.MSG_DONTWAIT))
a.send(b"datagram")
note("read datagram", lambda: os.read(b.fileno(), 0))
note("which stays", lambda: b.recv(10))
a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(0.02))
note("in vain", lambda: a.recv(10))
a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(30))
a.shutdown(socket.SHUT_RD)
note("recv shut down", lambda: a.recv(10))

a, b = tcp_pair()
a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 100)
note("recv of an urgent byte", lambda: a.recv(1, socket.MSG_OOB))
a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(0.2))
b.send(b"few")
note("recv of few", lambda: a.recv(200))

a, b = tcp_pair()
with tempfile.TemporaryFile() as file:
    note("splice to a file", lambda: os.splice(a.fileno(), file.fileno(), 100))
r, w = os.pipe()
note("splice to an end that is for reading", lambda: os.splice(a.fileno(), r, 100))
note("splice of nothing", lambda: os.splice(a.fileno(), w, 0))

a, b = tcp_pair()
a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20000)
a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval(0.2))
note("write that just fits", lambda: os.write(a.fileno(), bytes(65536)))
tell(told)
"""

LIMITS = {"defaults": {}, "RECV and SEND": {"RECV": "30s", "SEND": "30s"},
          "all": {name: "30s" for name in ("RECV", "SEND", "IDLE", "LIFETIME", "UNACKED")} | {"MIN_RATE": "1/30s"}}


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_the_kernel_answers_at_once(net, limits):
    limits = limits | {f"INBOUND_{name}": value for name, value in limits.items()}
    told = [net.told(CODE, **how) for how in ({"library": False}, limits)]
    assert told[0] == told[1]
    assert all(prompt for _, prompt, _ in told[0].values()), told[0]
