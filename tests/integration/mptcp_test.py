"""MPTCP sockets are bounded as TCP ones, whoever made them so, and whether the other side speaks it or not."""

import socket
import threading

import pytest

import programs
from faults import tcp

MPTCP = 262

CODE = """
how, protocol = sys.argv[2], int(sys.argv[3])
if how == "connect":
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    print(timed(lambda: error(s.connect, (sys.argv[4], 80)))[0])
    sys.exit()
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
s.connect(("127.0.0.1", int(sys.argv[1])))
s.send(b"question")
if how in ("poll", "epoll", "select"):
    s.setblocking(False)
    print(len(ready(how, s, select.POLLIN, 10)))
if how == "send":
    s.settimeout(None)
    print(error(lambda: [s.sendall(bytes(1 << 20)) for _ in range(30)] and "sent"), error(s.send, b"x"))
else:
    print(error(s.recv, 100), error(s.recv, 100))
"""


def speaks():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP).close()
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not speaks(), reason="the kernel has no MPTCP")


class Both:
    """A listener that speaks MPTCP, and so TCP, too."""

    def __init__(self, behaviour, protocol):
        self.stop = threading.Event()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(5)
        self.port = self.socket.getsockname()[1]
        self.kept = []
        threading.Thread(target=self.serve, args=(behaviour,), daemon=True).start()

    def serve(self, behaviour):
        try:
            self.kept.append(self.socket.accept()[0])
            behaviour(self.kept[0], self.stop)
        except OSError:
            pass

    def close(self):
        self.stop.set()
        self.socket.close()
        for each in self.kept:
            each.close()


PEERS = pytest.mark.parametrize("peer", [0, MPTCP], ids=["tcp", "mptcp"])


def ask(net, how, behaviour, peer, **limits):
    server = net.open(Both, behaviour, peer)
    result = net.run(programs.child(CODE, server.port, how, MPTCP), patience=10, **limits)
    assert result.status == 0 and not result.cut, result
    return result.out.decode().split(), result.elapsed


@PEERS
@pytest.mark.parametrize("limit", ["RECV", "IDLE", "LIFETIME"])
@pytest.mark.parametrize("how", ["recv", "poll", "epoll", "select"])
def test_silence(net, how, peer, limit):
    out, elapsed = ask(net, how, tcp.silent, peer, **{limit: "500ms"})
    assert out[how != "recv":] == ["ETIMEDOUT", "ECONNRESET"] and elapsed < 6, out


@PEERS
@pytest.mark.parametrize("limit", ["SEND", "IDLE", "LIFETIME"])
def test_a_peer_that_reads_nothing(net, peer, limit):
    out, _ = ask(net, "send", tcp.silent, peer, **{limit: "500ms"})
    assert out == ["ETIMEDOUT", "EPIPE"]


@PEERS
@pytest.mark.parametrize("how", ["recv", "poll", "epoll", "select"])
def test_an_answer(net, how, peer):
    limits = dict.fromkeys(["RECV", "SEND", "IDLE", "UNACKED", "CONNECT", "KEEPALIVE"], "4s") | {"LIFETIME": "1m", "MIN_RATE": "1/4s"}
    out, _ = ask(net, how, tcp.after(1, tcp.greeting(b"answer")), peer, **limits)
    assert "b'answer'" in out, out


def test_connect(net):
    result = net.run(programs.child(CODE, 0, "connect", MPTCP, net.blackhole()), patience=8, CONNECT="500ms")
    assert result.out == b"ETIMEDOUT\n", result
