"""Old kernels: calls and socket options that are missing are done without. A filter that the parent installs denies them."""

import json
import signal
import socket
import time

import pytest

import programs
from calls import LIMIT, at, parse
from faults import FullBacklog, tcp

pytestmark = pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime needs the calls itself")

MS = f"{LIMIT}ms"
DENY, CALL = programs.BUILD / "tests/deny", programs.BUILD / "tests/call"
CALLS = ["accept4", "recvmmsg", "sendmmsg", "getrandom", "dup3", "close_range", "splice", "process_vm_readv", "prlimit64", "membarrier",
         "statx", "rseq", "clone3", "epoll_pwait2"]
OPTIONS = ["TCP_USER_TIMEOUT", "TCP_SYNCNT", "TCP_INFO", "SO_DOMAIN", "SO_PROTOCOL", "TCP_KEEPIDLE"]
DENIED = pytest.mark.parametrize("denied", [CALLS, OPTIONS, CALLS + OPTIONS, ["TCP_USER_TIMEOUT"], ["TCP_INFO"]],
                                 ids=["calls", "options", "all", "user-timeout", "info"])


def run(net, denied, *argv, **how):
    result = net.run([DENY, *denied, "--", *argv], **how)
    assert not result.cut, result
    return result


def make(net, denied, *steps, **limits):
    result = run(net, denied, CALL, *steps, **limits)
    assert result.status == 0, result
    return parse(result.out.decode())


@pytest.fixture
def silent(net):
    return net.serve(tcp.silent, receive_buffer=2048)


def test_the_filter_denies(net):
    code = "import os, socket; socket.socket().getsockopt(6, 18)"
    assert b"Protocol not available" in run(net, OPTIONS, programs.PYTHON, "-c", code).err
    code = "import os; os.getrandom(1)"
    assert b"not implemented" in run(net, CALLS, programs.PYTHON, "-c", code).err


@DENIED
def test_connect(net, denied):
    host = net.blackhole()
    make(net, denied, f"connect:{host}:80", CONNECT=MS)[0].expect_expired()


@DENIED
@pytest.mark.parametrize("wait", ["poll:out", "select:out", "polls:out:50", "sysepoll:out"])
def test_connect_that_does_not_block(net, denied, wait):
    """Ended in time where the kernel tells that it is under way; SO_ERROR tells the reason."""
    host = net.blackhole()
    began, waited, error = make(net, denied, f"start:{host}:80", wait, "get:error", CONNECT=MS)
    assert waited.result == 1 and LIMIT <= waited.began + waited.ms - began.began < LIMIT + 1500, waited
    assert error.result == 110, error


@DENIED
@pytest.mark.parametrize("call", ["recv", "read", "recvmsg", "poll:in", "select:in", "sysepoll:in"])
def test_receive(net, denied, silent, call):
    first, second = make(net, denied, at(silent), call, "recv", RECV=MS)[1:]
    assert LIMIT <= first.ms < LIMIT + 1500 and (first.errno == "ETIMEDOUT" or first.result == 1), first
    second.expect_refused_at_once()


@DENIED
@pytest.mark.parametrize("call", ["send", "write", "writev", "poll:out", "select:out"])
def test_send(net, denied, silent, call):
    first, second = make(net, denied, at(silent), "fill", call, "send", SEND=MS)[2:]
    assert LIMIT <= first.ms < LIMIT + 1500 and (first.errno == "ETIMEDOUT" or first.result == 1), first
    second.expect_refused_at_once()


@DENIED
def test_full_backlog(net, denied):
    make(net, denied, at(net.open(FullBacklog)), CONNECT=MS)[0].expect_expired()


@DENIED
def test_connect_that_comes_about_while_stopped(net, denied):
    """Its time is up when the process goes on, but the connection stands: from the second SYN on there is space for it."""
    backlog = net.open(FullBacklog)
    program = net.start([DENY, *denied, "--", CALL, at(backlog)], CONNECT="500ms")
    time.sleep(0.3)
    program.signal(signal.SIGSTOP)
    backlog.fillers.pop().close()
    backlog.socket.accept()[0].close()
    time.sleep(1.5)
    program.signal(signal.SIGCONT)
    result = program.finish()
    assert result.status == 0 and parse(result.out.decode())[0].result == 0, result


FIRST_SEND = """
import select, socket, sys, time
s = socket.socket()
s.sendto(b"hello", socket.MSG_FASTOPEN, ("127.0.0.1", int(sys.argv[1])))
began, poll = time.monotonic(), select.poll()
poll.register(s, select.POLLIN)
print(len(poll.poll(4000)), round((time.monotonic() - began) * 1000))
"""


@DENIED
def test_wait_after_a_first_send_that_connects(net, denied, silent):
    """RECV bounds it from then on, not what is left of CONNECT."""
    ready, ms = run(net, denied, programs.PYTHON, "-c", FIRST_SEND, silent.port, CONNECT="3s", RECV=MS).out.split()
    assert int(ready) == 1 and LIMIT <= int(ms) < LIMIT + 1500


@DENIED
def test_names(net, denied):
    net.names({"echo.test": ["127.0.0.1"]})
    assert b"127.0.0.1" in run(net, denied, "getent", "ahosts", "echo.test").out


@DENIED
def test_names_that_nobody_answers(net, denied):
    net.dns(lambda *_: None)
    result = run(net, denied, "getent", "ahosts", "nobody.test", RESOLVE="500ms")
    assert result.status == 2 and result.elapsed < 4, result


@DENIED
@pytest.mark.parametrize("limits", [{}, dict.fromkeys(["CONNECT", "RECV", "SEND", "UNACKED", "KEEPALIVE"], "15s")], ids=["defaults", "limits"])
@pytest.mark.parametrize("mode", ["threads", "vfork", "closefrom"])
def test_healthy(net, denied, mode, limits):
    net.names({"echo.test": ["127.0.0.1"]})
    result = run(net, denied, programs.BUILD / "tests/process", mode, "echo.test", net.serve(tcp.echo).port, **limits)
    assert (result.status, result.out) == (0, b"all good\n"), result


SERVER = """
listener = socket.create_server(("127.0.0.1", 8000))
print("ready", flush=True)
stream, _ = listener.accept()
tell([error(stream.recv, 10) for _ in range(2)])
"""


@pytest.mark.parametrize("denied", [OPTIONS, ["dup3", "recvmmsg"] + OPTIONS], ids=["options", "more"])
def test_accepted(net, denied):
    """Python needs accept4 itself."""
    program = net.start([DENY, *denied, "--", *programs.child(SERVER)], INBOUND_RECV=MS)
    assert program.process.stdout.readline() == b"ready\n"
    with net.inside():
        client = socket.create_connection(("127.0.0.1", 8000))
    with client:
        result = program.finish()
    assert json.loads(result.out) == ["ETIMEDOUT", "ECONNRESET"], result
