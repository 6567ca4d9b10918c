"""Programs that thread, fork, close what they did not open, and lock themselves in."""

import time

import pytest

import programs
from faults import tcp

PROCESS = programs.BUILD / "tests/process"
LIMITS = dict.fromkeys(["RESOLVE", "CONNECT", "RECV", "SEND", "UNACKED"], "15s")
BOTH = pytest.mark.parametrize("limits", [{}, LIMITS], ids=["defaults", "limits"])


def expect_good(net, mode, host, *more, **limits):
    net.names({"echo.test": ["127.0.0.1"]})
    server = net.serve(tcp.echo)
    result = net.run([PROCESS, mode, host, server.port, *more], patience=40, **limits)
    assert (result.status, result.out) == (0, b"all good\n"), result


@pytest.mark.musl
@BOTH
@pytest.mark.parametrize("mode", ["threads", "fork", "vfork", "closefrom"])
def test_process(net, mode, limits):
    if mode == "fork" and programs.RUNTIME:
        pytest.skip("a sanitizer's own locks hang the child of a threaded process")
    expect_good(net, mode, "echo.test", **limits)


@pytest.mark.musl
@BOTH
def test_chroot(net, tmp_path, limits):
    empty = tmp_path / "root"
    empty.mkdir()
    expect_good(net, "chroot", "127.0.0.1", empty, **limits)


@BOTH
def test_chroot_with_names(net, tmp_path, limits):
    """The files that are read are those of the new root."""
    etc = tmp_path / "root/etc"
    etc.mkdir(parents=True)
    (etc / "hosts").write_text("127.0.0.1 echo.test\n")
    (etc / "nsswitch.conf").write_text("hosts: files dns\n")
    expect_good(net, "chroot", "echo.test", tmp_path / "root", **limits)


def test_python_daemon(net):
    """A daemon as Python's programs make them: two forks, a new session, every descriptor closed."""
    server = net.serve(tcp.echo)
    daemon = f"""
with dial({server.port}) as before:
    before.sendall(b"before")
    if os.fork(): os.wait(); sys.exit()
    os.setsid()
    if pid := os.fork(): os._exit(os.waitpid(pid, 0)[1] != 0)
    os.closerange(3, 4096)
    with dial({server.port}) as connection:
        connection.sendall(b"hello")
        os.write(1, connection.recv(100))
"""
    result = net.run(programs.child(daemon), **LIMITS)
    assert result.out == b"hello" and result.status == 0, result


@pytest.mark.musl
@BOTH
@pytest.mark.parametrize("call", ["recv", "send", "connect", "poll", "select"])
def test_leaving_a_wait(net, call, limits):
    """Threads are cancelled and handlers jump out of every wait, and nothing stays behind."""
    if programs.RUNTIME:
        pytest.skip("the sanitizers fail by themselves when a stack is left so, without the library too")
    host = net.blackhole() if call == "connect" else "127.0.0.1"
    silent, echo = net.serve(tcp.silent, receive_buffer=2048), net.serve(tcp.echo)
    result = net.run([programs.BUILD / "tests/cancel", call, host, silent.port, echo.port], **limits)
    assert result.out == b"cancelled 1, talks 1, jumped 1, talks 1\n", result


CALLS = ["read", "readv", "preadv2", "recv", "recvfrom", "recvmsg", "recvmmsg", "write", "writev", "pwritev2", "send", "sendto", "sendmsg", "sendmmsg",
         "splice in", "splice out", "accept", "accept4", "connect", "poll", "ppoll", "select", "pselect", "epoll_wait", "epoll_pwait",
         "epoll_pwait2"]
NOT_OF_MUSL = ["splice in", "splice out", "epoll_pwait2", "preadv2", "pwritev2"] # it has the last two by number only, before 1.2.5


@pytest.mark.musl
@BOTH
def test_every_wait_is_a_cancellation_point(net, limits):
    """All but sendfile, which is none in libc."""
    if programs.RUNTIME:
        pytest.skip("the sanitizers fail by themselves when a stack is left so, without the library too")
    calls = CALLS if not programs.LIBC else [call for call in CALLS if call not in NOT_OF_MUSL]
    without, under = (net.run([programs.BUILD / "tests/cancels", net.blackhole(), *calls], library=library, patience=60, **limits)
                      for library in (False, True))
    assert (without.status, without.out) == (under.status, under.out) == (0, b""), (without, under)


@pytest.mark.parametrize("limits", [{}, dict.fromkeys(LIMITS, "1s")], ids=["defaults", "limits"])
def test_server(net, limits):
    """A server under the library: limits on outgoing connections are not limits on those it accepts, nor on waiting for
    them."""
    server = net.start([programs.PYTHON, "-u", "-m", "http.server", "--bind", "127.0.0.1", "8000"], cwd=net.directory, **limits)
    assert b"Serving" in server.process.stdout.readline()
    with net.inside():
        slow = tcp.socket.create_connection(("127.0.0.1", 8000))
    with slow:
        time.sleep(1.5)
        slow.sendall(b"GET /hosts HTTP/1.0\r\n\r\n")
        assert slow.recv(100).startswith(b"HTTP/1.0 200")
    assert server.running


@pytest.mark.musl
@BOTH
def test_same(net, limits):
    """Flags, ancillary data, error queues, empty reads and writes, signals, errno on success, files and terminals, children."""
    server = net.serve(tcp.echo)
    without, under = (net.run([programs.BUILD / "tests/same", server.port], library=library, **limits) for library in (False, True))
    assert without.status == 0 and without.out.count(b"\n") > 60, without
    assert (under.status, under.out.decode().splitlines()) == (0, without.out.decode().splitlines())
