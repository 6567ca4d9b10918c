"""What guard knows of goroutines: which connections they wait for, where the connection alone would look idle."""

import contextlib
import time

import pytest

import look
from faults import good, tcp, tls
from guards import client, connect, guarding, keeps_alive, needs_go  # noqa: F401: fixtures among them
from look import netdeadline, pid_of, ps, until

pytestmark = needs_go


def guarded(net, client, *arguments, **limits):  # noqa: F811
    """What becomes of the Go client under a guard, and what that has told."""
    program = net.start([client, *arguments], library=False)
    with guarding(pid_of(program), **limits) as told:
        result = program.finish(15)
    return result, told


@contextlib.contextmanager
def serving(net, client, pause):  # noqa: F811
    """A Go server over TLS, which speaks HTTP/2, too; gives its address."""
    server = net.start([client, "serves", "127.0.0.1:0", pause, tls.certificate()], library=False)
    try:
        yield f"127.0.0.1:{int(server.process.stdout.readline())}"
    finally:
        server.process.kill()


EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

# Of all these something has come after the last byte that went out: session tickets count as that.
FAULTS = {"a body that stops": ("get", tcp.part()), "a header that stops": ("get", tcp.part(b"HTTP/1.1 200 OK\r\nContent-")),
          "a body that stops, over TLS": ("gets", tls.over_tls(tcp.part())), "no answer, over TLS": ("gets", tls.over_tls(tcp.silent)),
          "bytes that stop": ("rest", tcp.part(b"hello")), "bytes that stop, into a file": ("file", tcp.part(b"hello")),
          "half a line": ("line", tcp.part(b"hello")), "an answer to one who has closed its side": ("half open", tcp.part(b"hello")),
          "events that stop": ("events", tcp.part(EVENTS + b"data: 1\n\n"))}


@pytest.mark.parametrize("what, behaviour", FAULTS.values(), ids=FAULTS)
def test_a_reply_that_stops(net, client, what, behaviour):  # noqa: F811
    server = net.serve(behaviour)
    result, told = guarded(net, client, what, f"127.0.0.1:{server.port}", recv="1s")
    assert not result.cut and result.status == 1 and [row["limit"] for row in told] == ["RECV"] and told[0]["elapsed"] < 2, (result, told)


# Their twins go on, later each time than most of the limit.
TWINS = {"a file that comes slowly": ("file", tcp.drip(b"hello", 0.7), "5 bytes"), "a line that comes slowly": ("line", tcp.drip(b"ok\n", 0.7), "3 bytes"),
         "an answer to one who has closed its side": ("half open", tcp.late_answer(0.7, b"hello"), "5 bytes"),
         "a client that thinks before it asks": ("ask", tcp.part(b"hello"), "5 bytes"),
         "a client that listens to nothing": ("log", tcp.draining, "3 lines"),
         "events": ("events", tcp.drip(b"a\nb\n", 0.7, EVENTS), "2 lines"),
         "an upload that is read slowly": ("post", tcp.pausing(0.7, good.http()), "200 OK")}


@pytest.mark.parametrize("what, behaviour, text", TWINS.values(), ids=TWINS)
def test_a_reply_that_goes_on(net, client, what, behaviour, text):  # noqa: F811
    server = net.serve(behaviour)
    result, told = guarded(net, client, what, f"127.0.0.1:{server.port}", "2s" if what in ("ask", "log") else "1000000", recv="1500ms", send="1500ms")
    assert result.status == 0 and f" {text} <nil>" in result.out.decode() and not told, (result, told)


PROXIED = {"a reply that stops": (tcp.part(b"hello"), 1, "reset"), "one that goes on": (tcp.drip(b"bytes", 0.7, b"hello"), 0, " 10 bytes <nil>")}


@pytest.mark.parametrize("behaviour, status, text", PROXIED.values(), ids=PROXIED)
def test_a_proxy(net, client, behaviour, status, text):  # noqa: F811
    """What comes from its server goes into another connection without a read."""
    program = net.start([client, "proxy", f"127.0.0.1:{net.serve(behaviour).port}"], library=False)
    with guarding(pid_of(program), recv="1s") as told:
        asking = connect(net, int(program.process.stdout.readline()))
        asking.sendall(b"x")
        result = program.finish(10)
    assert result.status == status and text in result.text and len(told) == status, (result, told)
    assert status == 0 or told[0]["elapsed"] < 1.5, told


def test_an_upload_that_nobody_reads(net, client):  # noqa: F811
    server = net.open(tcp.never_reads)
    result, told = guarded(net, client, "post", f"127.0.0.1:{server.port}", send="1s")
    assert not result.cut and result.status == 1 and [row["limit"] for row in told] == ["SEND"] and told[0]["elapsed"] < 2, (result, told)


def test_a_client_that_says_nothing(net, client):  # noqa: F811
    """It is ended, and one that speaks from time to time is not."""
    program = net.start([client, "echo", "127.0.0.1:0"], library=False)
    port = int(program.process.stdout.readline())
    with guarding(pid_of(program), inbound_recv="1500ms") as told:
        silent, speaks = connect(net, port), connect(net, port)
        for _ in range(4):
            time.sleep(0.7)
            speaks.sendall(b"x")
            assert speaks.recv(1) == b"x"
        with pytest.raises(ConnectionResetError):
            silent.recv(1)
        speaks.close()
        assert b"reset" in program.process.stdout.readline() and program.process.stdout.readline() == b"4 bytes <nil>\n"
    assert [row["limit"] for row in told] == ["INBOUND_RECV"], told
    program.process.kill()


def test_a_stream_without_an_answer(net, client):  # noqa: F811
    with serving(net, client, "1h") as address:
        result, told = guarded(net, client, "streams", address, recv="1s")
    assert not result.cut and result.status == 1 and [row["limit"] for row in told] == ["RECV"], (result, told)


def test_a_stream_without_an_answer_after_many(net, client):  # noqa: F811
    """The connection's map of streams has become larger than it need be, and has one somewhere."""
    with serving(net, client, "200ms") as address:
        result, told = guarded(net, client, "crowds", address, recv="1s")
    assert b"quiet" in result.out and not result.cut and result.status == 1, (result, told)
    assert [row["limit"] for row in told] == ["RECV"] and told[0]["elapsed"] < 2, (result, told)


@pytest.mark.parametrize("what", ["streams", "twices", "crowds"])
def test_an_idle_connection(net, client, what):  # noqa: F811
    """A goroutine reads it all the time, but nobody has asked for anything."""
    with serving(net, client, "0s") as address:
        result, told = guarded(net, client, what, address, "2500ms", recv="1s")
    assert result.status == 0 and not told, (result, told)


def test_an_idle_pool(net, client):  # noqa: F811
    server = net.serve(keeps_alive)
    result, told = guarded(net, client, "twice", f"127.0.0.1:{server.port}", "2500ms", recv="1s")
    assert result.status == 0 and server.accepted == 1 and not told, (result, told)


def test_a_request_that_stops(net, client):  # noqa: F811
    """A client that stops in its request is ended, one that waits for a slow handler, or for its next event, is not."""
    program = net.start([client, "serve", "127.0.0.1:0", "2500ms"], library=False)
    port = int(program.process.stdout.readline())
    with guarding(pid_of(program), inbound_recv="1s"):
        body, asking, listening = (connect(net, port) for _ in range(3))
        listening.sendall(b"GET /events HTTP/1.0\r\n\r\n")
        asking.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        body.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        began = time.monotonic()
        with pytest.raises(ConnectionResetError):
            body.recv(100)
        assert 0.9 <= time.monotonic() - began <= 2.2
        assert asking.recv(100).startswith(b"HTTP/1.1 200 OK")
        assert listening.makefile("rb").read().endswith(b"data: 0\n\ndata: 1\n\nhello\n")
    program.process.kill()


def test_ps_and_end(net, client):  # noqa: F811
    """They know of a body that has stopped, and nothing of an idle connection."""
    server, other = net.serve(tcp.part()), net.serve(keeps_alive)
    program = net.start([client, "get", f"127.0.0.1:{server.port}"], library=False)
    idle = net.start([client, "twice", f"127.0.0.1:{other.port}", "1h"], library=False)
    rows = until(lambda: [row for row in ps(pid_of(program)) if row["CALL"] == "reply-pending"])
    assert rows[0]["PEER"] == f"127.0.0.1:{server.port}", rows
    assert not [row for row in ps(pid_of(idle)) if row["CALL"] == "reply-pending"]
    [row] = look.table(netdeadline("ps", "--connections", pid_of(program)).stdout.decode())
    assert row["PENDING"] != "-", row
    netdeadline("end", "--stuck", "--recv", "500ms", pid_of(idle), status=1)
    assert b"ended" in netdeadline("end", "--stuck", "--recv", "500ms", pid_of(program)).stdout
    assert b"reset" in program.finish(5).out
    idle.process.kill()
