"""Real programs of musl on the faults of the matrix: busybox, curl, Lua and Redis, which scripts/musl-programs builds from Debian's
sources; CI builds busybox and Lua, as the others take some minutes. What has not been built is not tested. MUSL_PROGRAMS is where
they are."""

import contextlib
import os
import pathlib
import socket
import subprocess
import time

import pytest

import matrix_test
import programs
from matrix import FAULTS
from matrix_test import another_net, given  # noqa: F401: fixtures
from table import NO_STATUS, READING, row, script

BUILT = pathlib.Path(os.environ.get("MUSL_PROGRAMS", programs.BUILD / "musl-programs")).resolve()
LUA = {"LUA_PATH": f"{BUILT}/lib/lua/?.lua", "LUA_CPATH": f"{BUILT}/lib/lua/?.so"}

pytestmark = [pytest.mark.skipif(bool(programs.RUNTIME), reason="musl has no such checks"),
              pytest.mark.skipif(not BUILT.exists(), reason="not built: scripts/musl-programs")]


def built(name):
    return f"{BUILT}/bin/{name}"


needs_busybox = pytest.mark.skipif(not os.path.exists(built("busybox")), reason="not built: scripts/musl-programs busybox")

ROWS = [
    row("busybox wget", "", "stdio on a socket", built("busybox") + " wget -q -O- {url}"),
    row("busybox nc", "", "poll", built("busybox") + " nc {host} {port}", speaks="greeting", beside_stdin=True,
        as_on_error=dict.fromkeys(READING, NO_STATUS)),
    row("busybox telnet", "", "poll with standard input", built("busybox") + " telnet {host} {port}", speaks="greeting", beside_stdin=True),
    row("curl", "", "poll", built("curl") + " -q -sS {url}"),
    row("curl https", "", "poll", built("curl") + " -q -sS -k {url}", tls=True),
    row("curl upload", "", "poll", built("curl") + " -q -sS -H Expect: -T - {url}", sends=True),
    row("curl https upload", "", "poll", built("curl") + " -q -sS -k -H Expect: -T - {url}", sends=True, tls=True),
    script("lua socket", "", "poll, one socket, infinite", built("lua"), "lua_tcp.lua", variables=LUA),
    script("lua http", "", "poll", built("lua"), "lua_http.lua", by="{url}", variables=LUA),
    row("redis-cli", "", "blocking", built("redis-cli") + " -h {host} -p {port} PING", speaks="redis", answer=b"PONG", expiries=4),
    row("redis-cli upload", "", "blocking write", built("redis-cli") + " -h {host} -p {port} -x SET key", sends=True, speaks="redis"),
]
ROWS = [row for row in ROWS if os.path.exists(row.argv[0])]
CELLS = [pytest.param(row, fault, id=f"{row.name}-{fault.name}") for row in ROWS for fault in FAULTS if fault.applies(row)]


def test_they_are_dynamic_and_for_musl():
    for name in {row.argv[0] for row in ROWS}:
        header = subprocess.run(["readelf", "-lW", name], capture_output=True, text=True, check=True).stdout
        assert "ld-musl-" in header, header


@pytest.mark.parametrize("row, fault", CELLS)
def test_fault(net, another_net, tmp_path, given, record_property, row, fault):  # noqa: F811
    matrix_test.test_fault(net, another_net, tmp_path, given, record_property, row, fault)


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS if row.name != "busybox telnet"])  # its status is 1 whatever ends it
def test_no_fault(net, tmp_path, given, record_property, row):  # noqa: F811
    matrix_test.test_no_fault(net, tmp_path, given, record_property, row)


def serving(net, argv, port, **limits):
    """The server, as soon as it listens."""
    server = net.start(argv, **limits)
    for _ in range(200):
        with net.inside(), contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return server
        time.sleep(0.05)
    raise AssertionError(server.finish(1))


@pytest.mark.skipif(not os.path.exists(built("redis-server")), reason="not built: scripts/musl-programs redis")
@pytest.mark.parametrize("limit", ["INBOUND_IDLE", None])
def test_a_silent_client_of_redis(net, tmp_path, limit):
    """It is ended, and the others served on."""
    server = serving(net, [built("redis-server"), "--port", "6379", "--dir", tmp_path, "--save", ""], 6379, **({limit: "1s"} if limit else {}))
    with net.inside():
        silent = socket.create_connection(("127.0.0.1", 6379))
        busy = socket.create_connection(("127.0.0.1", 6379))
    silent.settimeout(4)
    began = time.monotonic()
    for _ in range(12):
        busy.sendall(b"PING\r\n")
        assert busy.recv(100) == b"+PONG\r\n"
        time.sleep(0.2)
    if not limit:
        silent.sendall(b"PING\r\n")
        assert silent.recv(100) == b"+PONG\r\n"
    else:
        with contextlib.suppress(ConnectionResetError):
            assert silent.recv(100) == b""
    assert time.monotonic() - began < 5 and server.running


@needs_busybox
@pytest.mark.parametrize("limit", ["INBOUND_RECV", None])
def test_a_silent_client_of_httpd(net, tmp_path, limit):
    """Its process waits in a read; another is served by another process."""
    (tmp_path / "page").write_text("hello")
    serving(net, [built("busybox"), "httpd", "-f", "-p", "8080", "-h", tmp_path], 8080, **({limit: "1s"} if limit else {}))
    with net.inside():
        silent = socket.create_connection(("127.0.0.1", 8080))
    silent.sendall(b"GET /page HTTP/1.0\r\n")  # and never the end of it
    answer = net.run([built("busybox"), "wget", "-q", "-O-", "http://127.0.0.1:8080/page"])
    assert answer.status == 0 and answer.out == b"hello", answer
    silent.settimeout(4 if limit else 2)
    if limit:
        with contextlib.suppress(ConnectionResetError):
            assert b"hello" not in silent.recv(1000)
    else:
        with pytest.raises(TimeoutError):
            silent.recv(1000)
        silent.sendall(b"\r\n")
        assert b"200 OK" in silent.recv(1000)


@needs_busybox
def test_ping(net):
    """A raw socket: nothing of it is bounded, and nothing broken."""
    results = [net.run([built("busybox"), "ping", "-c", "1", "127.0.0.1"], library=library, RECV="1s") for library in (False, True)]
    assert [result.status for result in results] == [0, 0], results
