"""After an expiry the stream is finished: no later call of the TLS library sends a byte, not even an alert."""

import socket
import threading

import pytest

from faults import tcp, tls
from tlscalls import LIBRARIES, MS, make


class Counting:
    """Shakes hands or not, says nothing more, and counts what comes until the other side has gone."""

    def __init__(self, shakes):
        self.shakes, self.count, self.end, self.over = shakes, 0, None, threading.Event()

    def __call__(self, connection, stop):
        if self.shakes:
            with tls.server_context().wrap_socket(connection, server_side=True) as secure:
                self.listen(socket.socket(fileno=socket.dup(secure.fileno())))
        else:
            self.listen(socket.socket(fileno=socket.dup(connection.fileno())))

    def listen(self, plain):
        with plain:
            try:
                while data := plain.recv(65536):
                    self.count += len(data)
                self.end = "end of file"
            except OSError as error:
                self.end = type(error).__name__
        self.over.set()


LATER = ["send", "recv", "peek", "bye", "bye", "send", "handshake"]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("way", ["block", "poll", "select", "epoll"])
def test_after_a_read(net, library, way):
    peer = Counting(shakes=True)
    later = [step for step in LATER if library == "openssl" or step != "peek"]
    _, read, *calls = make(net, library, way, net.serve(peer), "handshake", "recv", *later, RECV=MS)
    read.expect_expired()
    for call in calls:
        # A handshake that is over is not made again.
        assert call.result < 0 or call.name == "handshake", call
    assert peer.over.wait(10)
    assert (peer.count, peer.end) == (0, "ConnectionResetError")


@pytest.mark.parametrize("library", [*LIBRARIES, "own"])
@pytest.mark.parametrize("way", ["block", "poll", "epoll"])
def test_after_a_handshake(net, library, way):
    """What came is the handshake's beginning, and no more than without the calls that follow its end."""
    counts = []
    for later in [], ["send", "bye", "recv", "handshake", "shutdown"]:
        peer = Counting(shakes=False)
        handshake, *_ = make(net, library, way, net.serve(peer), "handshake", *later, TLS_HANDSHAKE=MS)
        handshake.expect_expired()
        assert peer.over.wait(10) and peer.end == "ConnectionResetError", peer.end
        counts.append(peer.count)
    assert 100 < counts[0] == counts[1], counts


@pytest.mark.parametrize("library", ["openssl", "own", "buffered"])
@pytest.mark.parametrize("way", ["block", "poll", "select", "epoll", "sleep"])
@pytest.mark.parametrize("before, expires, limit", [
    ([], "handshake", "TLS_HANDSHAKE"), (["handshake"], "recv", "RECV"), (["handshake"], "upload", "SEND"),
    (["handshake", "bye"], "bye", "TLS_SHUTDOWN")], ids=["handshake", "recv", "upload", "bye"])
def test_what_openssl_says_afterwards(net, library, way, before, expires, limit):
    """As of a connection that was reset: first a system call's error, then an error of OpenSSL's, by which programs end that took the
    first for a reason to call again."""
    if expires in ("recv", "upload") and way == "sleep":
        pytest.skip("nobody waits")
    server = net.serve(tls.over_tls(tcp.silent) if before else tcp.silent, receive_buffer=4096)
    again = [expires] * 3
    *_, ended, second, third, fourth = make(net, library, way, server, *before, *(["upload"] * 20 if expires == "upload" else []), *again,
                                            expires, **{limit: MS})[-5:]
    assert ended.result < 0
    for call in second, third, fourth:
        assert call.result < 0 and call.meaning == "ssl" and call.ms < 200, (ended, second, third, fourth)
