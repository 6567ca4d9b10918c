"""Each limit once in programs of musl: what it ends, and beside it what it leaves alone. How limits work is the same for both libcs,
and is tested in other files."""

import socket
import time

import pytest

import programs
from calls import CALL, LIMIT, at, parse
from faults import tcp

MS = f"{LIMIT}ms"
MUSL = programs.BUILD / "tests/musl"

pytestmark = [pytest.mark.skipif(not (MUSL / "call").exists(), reason="there are no test programs for musl"),
              pytest.mark.parametrize("libc", ["musl"], indirect=True)]


def calls(net, *steps, **limits):
    """What became of the calls, and what the library reported."""
    result = net.run([CALL, *steps], patience=15, LOG="stderr", **limits)
    assert result.status == 0, result
    return parse(result.out.decode()), result.err.decode()


def ended(net, limit, value, *steps, log=None, **others):
    """The last call has ended by the limit."""
    (*_, last), told = calls(net, *steps, **{limit: value}, **others)
    assert last.failed and last.errno == "ETIMEDOUT" and last.ms < 8000, (last, told)
    assert told.count(f"limit={log or limit} ") == 1, told


def goes_on(net, limit, value, *steps, **others):
    """All calls succeed, and nothing is reported."""
    made, told = calls(net, *steps, **{limit: value}, **others)
    assert not any(call.failed for call in made) and not told, (made, told)


def then_close(connection, stop):
    """A line without an end, late."""
    if not stop.wait(0.6):
        connection.sendall(b"late")


LATE = tcp.after(0.6, tcp.greeting(b"late"))


def test_connect(net):
    ended(net, "CONNECT", MS, f"connect:{net.blackhole()}:80")
    goes_on(net, "CONNECT", MS, at(net.serve(LATE)), "recv")


@pytest.mark.parametrize("wait", ["recv", "poll:in", "select:in", "fgets"])
def test_recv(net, wait):
    steps = [wait] if wait in ("recv", "fgets") else [wait, "recv"]
    made, told = calls(net, at(net.serve(tcp.silent)), *steps, RECV=MS)
    assert (made[-1].failed or wait == "fgets") and LIMIT * 0.9 <= made[1].ms < 3500, made
    assert wait == "fgets" or "limit=RECV" in told
    goes_on(net, "RECV", "20s", at(net.serve(then_close)), *steps)


def test_send(net):
    ended(net, "SEND", MS, at(net.serve(tcp.silent, receive_buffer=2048)), "fill", "send")
    goes_on(net, "SEND", "2s", at(net.serve(tcp.pausing(0.5, tcp.draining), receive_buffer=2048)), "fill", "send")


@pytest.mark.parametrize("limit, value, enough", [("IDLE", MS, MS), ("LIFETIME", MS, "20s"), ("MIN_RATE", "1k/300ms", "1/300ms")])
def test_of_a_connection(net, limit, value, enough):
    if limit == "IDLE":
        ended(net, limit, value, at(net.serve(tcp.silent)), "send", "waitall:100")
    else:  # what has come is given first
        ended(net, limit, value, at(net.serve(tcp.drip(b"x" * 100, 0.05))), "send", "waitall:100", "recv")
    goes_on(net, limit, enough, at(net.serve(tcp.drip(b"x" * 20, 0.05))), "send", "waitall:20")


def gone(net, *steps, **limits):
    """What becomes of the last call where the server is gone once it is connected."""
    silent = net.serve(tcp.silent)
    program = net.start([CALL, at(silent), *steps], LOG="stderr", **limits)
    assert program.process.stdout.readline().startswith(b"connect 0 ")
    net.drop(f"tcp dport {silent.port}")
    result = program.finish()
    assert parse(result.out.decode())[-1].errno == "ETIMEDOUT", result
    return result.err


def test_unacked(net):
    goes_on(net, "UNACKED", MS, at(net.serve(LATE)), "send", "recv", KEEPALIVE="off")
    assert b"limit=UNACKED" in gone(net, "sleep:1500", "send", "recv", UNACKED="1s", KEEPALIVE="off")


def test_keepalive(net):
    goes_on(net, "KEEPALIVE", "1s", at(net.serve(tcp.after(2.5, tcp.greeting(b"x")))), "recv", UNACKED="1s")
    assert b"limit=KEEPALIVE" in gone(net, "recv", UNACKED="1s", KEEPALIVE="1s")


@pytest.mark.parametrize("limit, value, step", [("INBOUND_RECV", MS, "recv"), ("INBOUND_IDLE", MS, "recv"), ("INBOUND_LIFETIME", MS, "recv"),
                                                ("INBOUND_SEND", MS, "send"), ("ACCEPT", MS, "accept")])
def test_inbound(net, limit, value, step):
    """Of connections that are accepted, and of the wait for one."""
    program = net.start([CALL, "accept", *["fill"] * (step == "send"), *[step] * (step != "accept")], LOG="stderr", **{limit: value})
    port = int(program.process.stdout.readline().split()[1])
    if step != "accept":
        with net.inside():
            silent = socket.create_connection(("127.0.0.1", port))
    result = program.finish()
    last = parse(result.out.decode())[-1]
    assert last.errno == "ETIMEDOUT" and f"limit={limit} ".encode() in result.err, result
    if step != "accept":
        silent.close()


def test_inbound_twin(net):
    """A client that takes its time within the limits."""
    program = net.start([CALL, "accept", "recv", "send"], LOG="stderr", INBOUND_RECV="20s", INBOUND_IDLE="20s", ACCEPT="20s", RECV="100ms", IDLE="100ms")
    time.sleep(0.3)
    with net.inside():
        client = socket.create_connection(("127.0.0.1", int(program.process.stdout.readline().split()[1])))
    time.sleep(0.5)
    client.sendall(b"x")
    assert len(client.recv(5000)) > 0
    result = program.finish()
    assert not any(call.failed for call in parse(result.out.decode())) and not result.err, result
