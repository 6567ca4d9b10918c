"""A connection that the peer resets fails as without the library, also where the kernel was probing it: its closed window, or a peer that was
silent for KEEPALIVE. No expiry is reported."""

import socket
import time

import pytest

import programs

CODE = """
def told(call):
    try:
        return min(1, call() or 0)
    except OSError as failure:
        return errno.errorcode[failure.errno]

s, big, file = dial(), bytes(16 << 20), tempfile.TemporaryFile()
file.truncate(len(big))
if sys.argv[2] == "poll":
    s.setblocking(False)
send = {"send": lambda: s.send(big), "write": lambda: os.write(s.fileno(), big), "sendfile": lambda: os.sendfile(s.fileno(), file.fileno(), 0, len(big)),
        "poll": lambda: s.send(big)}[sys.argv[2]]
seen = [told(send)]
if sys.argv[2] == "poll":
    p = select.poll()
    p.register(s, select.POLLIN)
    seen.append([ready for _, ready in p.poll()])
seen += [told(send), told(send), told(lambda: len(s.recv(9))), told(lambda: len(s.recv(9)))]
print(seen)
"""


def run(net, behaviour, code, *arguments, library, **limits):
    port = net.serve(behaviour, receive_buffer=2048).port
    result = net.run(programs.child(code, port, *arguments), library=library, LOG="stderr", **limits)
    assert result.status == 0 and not result.err, result
    return result.out


def never_reads(connection, _stop):
    """Its kernel does not answer each probe of the window, and resets the connection at the end."""
    time.sleep(0.7)
    connection.close()


@pytest.mark.parametrize("how", ["send", "write", "sendfile", "poll"])
def test_by_a_peer_whose_window_is_closed(net, how):
    without = run(net, never_reads, CODE, how, library=False)
    assert b"ECONNRESET" in without or how == "sendfile", without
    assert run(net, never_reads, CODE, how, library=True) == without


def forgets(connection, _stop):
    """It does not say so, and resets what comes then."""
    connection.recv(1)
    time.sleep(0.2)
    connection.setsockopt(socket.IPPROTO_TCP, 19, 1)  # TCP_REPAIR
    connection.close()


WAITING = """
s = dial()
s.send(b"q")
try:
    if sys.argv[2] == "poll":
        p = select.poll()
        p.register(s, select.POLLIN)
        p.poll()
    print(s.recv(9))
except OSError as failure:
    print(errno.errorcode[failure.errno])
"""


@pytest.mark.parametrize("how", ["recv", "poll"])
def test_by_a_peer_that_a_probe_has_reached(net, how):
    assert run(net, forgets, WAITING, how, library=True, KEEPALIVE="1s") == b"ECONNRESET\n"
