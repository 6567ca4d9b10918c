"""A first send with MSG_FASTOPEN, or after a connect that the kernel has deferred, connects: CONNECT bounds it, and the connection is bounded like any other after it."""

import pytest

import programs
from faults import FullBacklog, tcp

SCRIPT = """
mode, host, port = sys.argv[1:]
s = socket.socket()
began = time.monotonic()
if mode == "blocking":
    print(error(lambda: s.sendto(b"hello", socket.MSG_FASTOPEN, (host, int(port)))))
elif mode == "message":
    print(error(lambda: s.sendmsg([b"hello"], [], socket.MSG_FASTOPEN, (host, int(port)))))
elif mode == "deferred":  # the kernel connects with the first send, where it has a cookie
    s.setsockopt(socket.IPPROTO_TCP, 30, 1)  # TCP_FASTOPEN_CONNECT
    print(error(lambda: s.connect((host, int(port))) or s.send(b"hello")))
else:
    s.setblocking(False)
    first = error(lambda: s.sendto(b"hello", socket.MSG_FASTOPEN, (host, int(port))))
    ready("poll", s, select.POLLOUT, 60)
    failed = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    with_a_cookie = first.isdigit()  # the data went in the SYN
    print(errno.errorcode[failed] if failed else first if with_a_cookie else error(lambda: s.send(b"hello")))
s.setblocking(True)
print(error(lambda: s.recv(100)), s.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO))
print(round((time.monotonic() - began) * 1000))
"""

MODES = pytest.mark.parametrize("mode", ["blocking", "message", "polled", "deferred"])


def ask(net, mode, host, port, **how):
    result = net.run(programs.child(SCRIPT, mode, host, port), patience=8, **how)
    assert result.status == 0, result
    return result.out.decode().split()


@MODES
@pytest.mark.parametrize("fault", ["dropped", "full"])
def test_connect(net, mode, fault):
    host, port = (net.blackhole(), 80) if fault == "dropped" else ("127.0.0.1", net.open(FullBacklog).port)
    sent, received, timeout, ms = ask(net, mode, host, port, CONNECT="300ms", RECV="300ms")
    assert sent == "ETIMEDOUT" and received not in ("b''", "b'hello'") and timeout == "0"
    assert 300 <= int(ms) < 2000


@MODES
def test_silence_after_it(net, mode):
    server = net.serve(tcp.silent)
    sent, received, timeout, ms = ask(net, mode, "127.0.0.1", server.port, CONNECT="5s", RECV="300ms")
    assert (sent, received, timeout) == ("5", "ETIMEDOUT", "0") and 300 <= int(ms) < 2000


@MODES
@pytest.mark.parametrize("limits", [{"library": False}, {}, {"CONNECT": "5s", "RECV": "5s", "SEND": "5s"}],
                         ids=["without", "defaults", "limits"])
@pytest.mark.parametrize("cookie", [False, True])
def test_without_a_fault(net, mode, limits, cookie):
    if cookie:  # the server gives one in the first connection, and takes data in the SYN of the second
        net.do("sh", "-c", "echo 3 >/proc/sys/net/ipv4/tcp_fastopen")
    server = net.serve(tcp.echo)
    if cookie:
        server.socket.setsockopt(6, 23, 16)  # TCP_FASTOPEN
        ask(net, mode, "127.0.0.1", server.port, **limits)
    assert ask(net, mode, "127.0.0.1", server.port, **limits)[:3] == ["5", "b'hello'", "0"]


DEFERRED = """
how, host, port = sys.argv[1:4]
s = socket.socket()
s.setsockopt(socket.IPPROTO_TCP, 30, 1)
if how in ("poll", "epoll", "select"):
    s.setblocking(False)
first = error(s.connect, (host, int(port)))
time.sleep(0.5)  # no time runs yet
sends = {"write": lambda: os.write(s.fileno(), b"hello"), "writev": lambda: os.writev(s.fileno(), [b"hel", b"lo"]),
         "sendmsg": lambda: s.sendmsg([b"hello"]), "sendfile": lambda: os.sendfile(s.fileno(), os.open("/etc/hosts", os.O_RDONLY), 0, 5)}
began = time.monotonic()
sent = error(sends.get(how, lambda: s.send(b"hello")))
shown = len(ready(how, s, select.POLLIN, 10)) if how in ("poll", "epoll", "select") else 1
again = error(s.send, b"more") if how == "send" else "ETIMEDOUT"
tell([first, sent, shown, again, error(s.recv, 100), time.monotonic() - began])
"""


@pytest.mark.parametrize("how", ["recv", "send", "write", "writev", "sendmsg", "sendfile", "poll", "epoll", "select"])
def test_a_deferred_connect_to_a_server_that_takes_no_more(net, how):
    """connect gives 0 and sends nothing. CONNECT bounds what comes after the first send, which takes its data along."""
    net.do("sh", "-c", "echo 5 >/proc/sys/net/ipv4/tcp_fastopen")  # also without a cookie
    port, log = net.open(FullBacklog).port, net.directory / "log"
    first, sent, shown, again, received, elapsed = net.told(DEFERRED, how, "127.0.0.1", port, CONNECT="700ms", LOG=str(log))
    assert (first, sent, shown, again, received) == ("None", "5", 1, "ETIMEDOUT", "ETIMEDOUT")
    assert 0.6 < elapsed < 3 and "limit=CONNECT" in log.read_text()
