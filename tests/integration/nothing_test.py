"""Calls that the kernel answers at once, whatever they are given to wait for: nothing asked for, nothing to say, a socket that is
shut down. Their answers are those without the library, under limits that lie far away."""

import json

import pytest

import programs

CODE = """
import errno, fcntl, json, os, signal, socket, struct, tempfile, time
told, pipes = {}, []
signal.signal(signal.SIGPIPE, lambda *_: pipes.append(1))

def pair(kind=socket.SOCK_STREAM):
    if kind == socket.SOCK_DGRAM:
        a, b = socket.socket(type=kind), socket.socket(type=kind)
        b.bind(("127.0.0.1", 0)), a.connect(b.getsockname())
        return a, b
    with socket.create_server(("127.0.0.1", 0)) as listener:
        a = socket.create_connection(listener.getsockname())
        return a, listener.accept()[0]

def note(name, call):
    began = time.monotonic()
    try:
        result = repr(call())
    except OSError as error:
        result = errno.errorcode[error.errno]
    told[name] = result, time.monotonic() - began < 5, len(pipes)
    pipes.clear()

a, b = pair()
note("read", lambda: os.read(a.fileno(), 0))
note("readv", lambda: os.readv(a.fileno(), [bytearray(0), bytearray(0)]))
note("writev", lambda: os.writev(a.fileno(), [b"", b""]))
a.shutdown(socket.SHUT_WR)
note("writev shut down", lambda: os.writev(a.fileno(), [b"", b""]))
note("write shut down", lambda: os.write(a.fileno(), b""))

a, b = pair(socket.SOCK_DGRAM)
note("writev datagram", lambda: os.writev(a.fileno(), [b""]))
note("which is none", lambda: b.recv(10, socket.MSG_DONTWAIT))
a.send(b"datagram")
note("read datagram", lambda: os.read(b.fileno(), 0))
note("which stays", lambda: b.recv(10))
a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 20000))
note("in vain", lambda: a.recv(10))
a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 30, 0))
a.shutdown(socket.SHUT_RD)
note("recv shut down", lambda: a.recv(10))

a, b = pair()
a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 100)
note("recv of an urgent byte", lambda: a.recv(1, socket.MSG_OOB))
a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 200000))
b.send(b"few")
note("recv of few", lambda: a.recv(200))

a, b = pair()
with tempfile.TemporaryFile() as file:
    note("splice to a file", lambda: os.splice(a.fileno(), file.fileno(), 100))
r, w = os.pipe()
note("splice to an end that is for reading", lambda: os.splice(a.fileno(), r, 100))
note("splice of nothing", lambda: os.splice(a.fileno(), w, 0))

a, b = pair()
a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20000)
a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 200000))
note("write that just fits", lambda: os.write(a.fileno(), bytes(65536)))
print(json.dumps(told))
"""

LIMITS = {"defaults": {}, "RECV and SEND": {"RECV": "30s", "SEND": "30s"},
          "all": {name: "30s" for name in ("RECV", "SEND", "IDLE", "LIFETIME", "UNACKED")} | {"MIN_RATE": "1/30s"}}


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_the_kernel_answers_at_once(net, limits):
    limits = limits | {f"INBOUND_{name}": value for name, value in limits.items()}
    told = [json.loads(net.run([programs.PYTHON, "-c", CODE], **how).out) for how in ({"library": False}, limits)]
    assert told[0] == told[1]
    assert all(prompt for _, prompt, _ in told[0].values()), told[0]
