"""musl's programs take the library, too, where they inherit LD_PRELOAD by its path. What is the same for both libcs is tested in
the other files, by tests that are marked `musl`; here is what differs."""

import re
import shutil
import subprocess

import pytest

import programs
from calls import CALL, LIMIT, at, parse
from faults import tcp

MS = f"{LIMIT}ms"
LIBCS = programs.BUILD / "tests/libcs"
SENT = b"3600012\n"  # what LIBCS sends in all


@pytest.fixture
def built():
    """The directory of the test programs that were built for musl."""
    if not (programs.BUILD / "tests/musl/call").exists():
        pytest.skip("there are no test programs for musl")
    return programs.BUILD / "tests/musl"


@pytest.fixture
def program(tmp_path):
    if not shutil.which("musl-gcc"):
        pytest.skip("musl-tools are not installed")
    subprocess.run(["musl-gcc", "-O1", "-o", tmp_path / "musl", programs.ROOT / "tests/release/musl.c"], check=True)
    return tmp_path / "musl"


@pytest.mark.skipif(bool(programs.RUNTIME), reason="musl has no such checks")
def test_everything_works(net, program):
    without, under = (net.run([program], library=library, LOG="stderr") for library in (False, True))
    assert without.status == 0 and not without.text, without
    assert under.status == 0 and not under.text, under


@pytest.mark.musl
@pytest.mark.parametrize("limits", [{}, {"SEND": "20s", "RECV": "20s"}, {"SEND": "20s", "IDLE": "20s", "INBOUND_IDLE": "20s"}],
                         ids=["defaults", "limits", "idle"])
@pytest.mark.parametrize("mode", ["messages", "sendmmsg"])
def test_messages_arrive_whole(net, mode, limits):
    """The headers' padding holds anything, and each message is sent in many pieces."""
    result = net.run([LIBCS, mode], **limits)
    assert (result.status, result.out) == (0, SENT), result


def test_each_message_is_whole_before_the_next(net, built):
    """musl's own sendmmsg, tried without waiting, would go on with the next one where a part of the last one had room."""
    if not shutil.which("strace"):
        pytest.skip("strace is missing")
    program = net.run(["strace", "-f", "-o", net.directory / "calls", "-e", "trace=sendmsg", built / "libcs", "sendmmsg"], SEND="20s")
    assert program.out == SENT, program
    left, parts = 0, 0
    for length, result in re.findall(r"sendmsg\(.*iov_len=(\d+).* = (-?\d+)", (net.directory / "calls").read_text()):
        assert not left or int(length) == left, (length, left)
        left = int(length) - max(int(result), 0)
        parts += 0 < int(result) < int(length)
    assert parts > 3


@pytest.mark.musl
@pytest.mark.parametrize("limits", [{}, {"SEND": "20s"}], ids=["defaults", "SEND"])
def test_a_part_of_a_message(net, limits):
    """musl's loop has tried the next message, and leaves its error."""
    without, under = (net.run([LIBCS, "part"], library=library, **limits) for library in (False, True))
    assert without.out.startswith(b"1 ") and (without.status, without.out) == (under.status, under.out), (without, under)


@pytest.mark.musl
@pytest.mark.parametrize("limits", [{}, {"SEND": "20s"}], ids=["defaults", "SEND"])
def test_messages_by_number(net, limits):
    """They are not musl's functions, which take less ancillary data and go on after a part of a message."""
    result = net.run([LIBCS, "numbers"], **limits)
    assert (result.status, result.out) == (0, b"sendmsg 1 \nsendmmsg 1 \nno room 1 0, 1\n"), result


@pytest.mark.musl
@pytest.mark.parametrize("limits", [{"RECV": MS}, {"IDLE": MS}], ids=["RECV", "IDLE"])
def test_descriptor_by_a_message(net, limits):
    """The connection is known to the process that has received it, and its own receive is bounded."""
    server = net.serve(tcp.silent)
    result = net.run([LIBCS, "descriptor", server.port], **limits)
    assert (result.status, result.out) == (0, b"-1 ETIMEDOUT\n"), result


@pytest.mark.musl
@pytest.mark.skipif(bool(programs.RUNTIME), reason="checked code uses more")
@pytest.mark.parametrize("call", ["recv", "send", "poll", "select", "epoll"])
def test_stack(net, call):
    """Of the thread whose wait expires and is reported: musl's threads have 128 KB and less, some of them 16 KB."""
    server = net.serve(tcp.silent, receive_buffer=2048)
    without, under = (net.run([LIBCS, "stack", call, server.port], RECV="100ms", SEND="100ms", LOG=log)
                      for log in ("off", net.directory / "log"))
    assert without.status == under.status == 0 and int(under.out) < 11_000, (without, under)
    assert (net.directory / "log").read_text().count("limit=") == 1


def test_splice_is_no_cancellation_point(net, built):
    """Nor is the wait that is made in its place."""
    under = net.run([built / "cancels", net.blackhole(), "splice in"], RECV="20s")
    assert (under.status, under.out) == (0, b"splice in: not left\n"), under


def test_backtrace(net, built):
    """The program's own functions, by its name, whatever it was called by; musl itself has nothing to unwind by."""
    server = net.serve(tcp.silent)
    result = net.run(["sh", "-c", f"cd {built}; exec ./call {at(server)} recv"], RECV=MS, BACKTRACE="1", LOG="stderr")
    if "libunwind is not installed" in result.text:
        pytest.skip("no libunwind in the library, nor one for musl")
    assert re.search(r'stack="do_recv\+0x[0-9a-f]+@call main\+0x[0-9a-f]+@call', result.text), result


def bounded(result):
    calls = parse(result.out.decode())
    assert result.status == 0 and [call.name for call in calls] == ["connect", "recv"] and (calls[1].errno, calls[1].result) == ("ETIMEDOUT", -1), result


def test_shell_of_glibc_runs_musl(net, built):
    server = net.serve(tcp.silent)
    bounded(net.run(["sh", "-c", f"{built}/call {at(server)} recv; exit $?"], RECV=MS))


def test_program_of_musl_runs_glibc(net, built):
    server = net.serve(tcp.silent)
    bounded(net.run([built / "libcs", "exec", "sh", "-c", f"{CALL} {at(server)} recv; exit $?"], RECV=MS))
    bounded(net.run([built / "libcs", "exec", built / "libcs", "exec", built / "call", at(server), "recv"], RECV=MS))
