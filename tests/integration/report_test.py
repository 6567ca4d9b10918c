"""What the operator is told when a deadline fires."""

import shutil
import re
import time

import pytest

import programs
from calls import CALL, LIMIT, at
from faults import dns, tcp, tls

MS = f"{LIMIT}ms"


def log_of(net, *argv, **limits):
    log = net.directory / "log"
    net.run(argv, LOG=str(log), **limits)
    return log.read_text().splitlines() if log.exists() else []


def line_of(net, *argv, **limits):
    lines = log_of(net, *argv, **limits)
    assert len(lines) == 1, lines
    return lines[0]


def test_receive(net):
    server = net.serve(tcp.greeting(b"secret"))
    line = line_of(net, CALL, at(server), "recv", "recv", "recv", RECV=MS)
    for word in ["recv", "RECV", f"127.0.0.1:{server.port}", MS, "call"]:
        assert word in line, line
    assert "secret" not in line
    assert time.strftime("%Y-%m-%d") in line or time.strftime("%Y-%m-%d", time.gmtime()) in line


def test_connect(net):
    line = line_of(net, CALL, f"connect:{net.blackhole()}:80", CONNECT=MS)
    assert "connect" in line and "CONNECT" in line and "192.0.2.66:80" in line


def test_name(net):
    net.dns(dns.silent)
    line = line_of(net, "getent", "ahosts", "host.test", RESOLVE=MS)
    assert "getaddrinfo" in line and "RESOLVE" in line and "host.test" in line


def test_names_are_escaped(net, tmp_path):
    """What a log reader's terminal would obey is not written as it came. (Host names of that kind libc refuses to look up.)"""
    net.dns(dns.silent)
    program = shutil.copy(shutil.which("getent"), tmp_path / "a\x1b[31m b")
    line = line_of(net, program, "ahosts", "host.test", RESOLVE=MS)
    assert line.isprintable() and "31m" in line, line


def test_handshake(net):
    server = net.serve(tcp.silent)
    code = f"tls(dial({server.port}))"
    line = line_of(net, *programs.child(code), TLS_HANDSHAKE=MS)
    assert "TLS_HANDSHAKE" in line and f"127.0.0.1:{server.port}" in line and "python3" in line


def test_shutdown(net):
    server = net.serve(tls.over_tls(tcp.silent))
    code = f"tls(dial({server.port})).unwrap()"
    assert "TLS_SHUTDOWN" in line_of(net, *programs.child(code), TLS_SHUTDOWN=MS)


def test_nothing_fired(net):
    server = net.serve(tcp.greeting(b"hello"))
    assert log_of(net, CALL, at(server), "recv", RECV="5s") == []


def test_standard_error(net):
    server = net.serve(tcp.silent)
    result = net.run([CALL, at(server), "recv"], RECV=MS, LOG="stderr")
    assert result.err.count(b"\n") == 1 and b"RECV" in result.err, result


def test_standard_error_that_became_something_else(net):
    """A descriptor 2 that the program has given to something else is not written to."""
    server = net.serve(tcp.silent)
    code = f"""
os.close(2)
file = os.open({str(net.directory / "data")!r}, os.O_CREAT | os.O_RDWR)
assert file == 2
connection = dial({server.port})
print(error(connection.recv, 1))
"""
    result = net.run(programs.child(code), RECV=MS, LOG="stderr")
    assert result.out == b"ETIMEDOUT\n" and (net.directory / "data").read_text() == "", result


@pytest.mark.parametrize("operation", ["recv", "connect"])
def test_backtrace(net, operation):
    """The stack names the functions of the program that called."""
    server = net.serve(tcp.silent)
    step = [at(server), "recv"] if operation == "recv" else [f"connect:{net.blackhole()}:80"]
    lines = log_of(net, CALL, *step, RECV=MS, CONNECT=MS, BACKTRACE="1")
    text = "\n".join(lines)
    assert len(lines) >= 1 and re.search(r"\+0x[0-9a-f]+", text) and "main" in text, text


def test_many_processes_share_a_log(net):
    """Lines of processes that expire together stay whole."""
    server = net.serve(tcp.silent)
    commands = " & ".join(f"{CALL} {at(server)} recv >/dev/null" for _ in range(20))
    lines = log_of(net, "sh", "-c", f"{commands} & wait", RECV=MS)
    assert len(lines) == 20 and all("RECV" in line and line.count("RECV") == 1 for line in lines), lines
