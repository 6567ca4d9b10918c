"""A TLS close never waits for a write that is stuck in another thread: the VividCortex case."""

import socket
import time

import pytest

from faults import tcp, tls
from tlscalls import LIBRARIES, make

CLIENT = """
lock = threading.Lock() if sys.argv[2] == "lock" else contextlib.nullcontext()
told = {}

def note(name, call):
    began = time.monotonic()
    try:
        call()
        told[name] = "went well"
    except OSError as e:
        told[name] = type(e).__name__
    told[name + " took"] = time.monotonic() - began

def locked(call):
    with lock:
        return call()

stream = tls(dial())
write = threading.Thread(target=note, args=("write", lambda: locked(lambda: stream.sendall(bytes(50 << 20)))), daemon=True)
write.start()
time.sleep(0.5)
note("close", lambda: locked(stream.unwrap))
write.join(3)
note("later", lambda: stream.send(b"more"))
tell(told)
os._exit(0)
"""


def outcome(net, lock, **limits):
    server = net.serve(tls.over_tls(tcp.silent), receive_buffer=4096)
    return net.told(CLIENT, server.port, lock, **limits)


def test_close_ends_a_stuck_write(net):
    """With the default settings, under which neither call has run out of time."""
    told = outcome(net, "free")
    assert told["close"] == "TimeoutError" and told["close took"] < 1, told
    assert told["write"].endswith("Error") and told["write took"] < 2, told
    assert told["later"].endswith("Error") and told["later took"] < 1, told


class Late:
    """A peer that reads nothing until the other side has closed, and then everything there is."""

    def __init__(self):
        self.end = None

    def __call__(self, secure, stop):
        stop.wait(1)
        with socket.socket(fileno=socket.dup(secure.fileno())) as plain:  # Python's TLS takes a reset for an end of file
            try:
                while plain.recv(65536):
                    pass
                self.end = "end of file"
            except OSError as error:
                self.end = type(error).__name__


@pytest.mark.parametrize("library", LIBRARIES)
def test_close_ends_a_stuck_write_without_an_alert(net, library, report_time):
    """The peer, when it reads again, finds a connection that was cut, not one that was closed in order."""
    peer = Late()
    server = net.serve(tls.over_tls(peer), receive_buffer=4096)
    _, _, close, write, again, later = make(net, library, "block", server, "handshake", "write", "bye", "join", "bye", "send")
    for call in close, again, later:
        call.expect_refused_at_once()
    assert write.result < 0 and write.ms < 300, write
    report_time(f"{library} close during a stuck write", close.ms / 1000)
    for _ in range(50):
        if not peer.end:
            time.sleep(0.1)
    assert peer.end == "ConnectionResetError"


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_write_that_moves_is_not_a_stuck_one(net, library):
    """The peer takes all that comes: the close is an ordinary one."""
    server = net.serve(tls.over_tls(tcp.draining))
    _, *sends, shutdown = make(net, library, "block", server, "handshake", "send", "send", "shutdown")
    assert shutdown.result == 0, shutdown
    for call in sends:
        call.expect_done()


def test_a_lock_is_freed_by_the_write_s_own_deadline(net):
    told = outcome(net, "lock", SEND="1s")
    assert told["write"].endswith("Error") and 0.9 < told["write took"] < 2, told
    assert told["close"].endswith("Error") and told["close took"] < 2, told
