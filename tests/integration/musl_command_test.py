"""The command on programs of musl: what it says of them, what it tells their loader, what it sees and changes in them."""

import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

import look
import programs
from calls import LATEST, LIMIT, at, finish
from cli_check_test import check, elf, findings, one
from faults import tcp
from guards import build_once, guarding
from look import netdeadline, pid_of, ps, until, waiting

pytestmark = [pytest.mark.skipif(bool(programs.RUNTIME), reason="musl has no such checks"),
              pytest.mark.skipif(not shutil.which("musl-gcc"), reason="musl-tools are not installed")]

CALL = programs.BUILD / "tests/musl/call"
LOADER = pathlib.Path(f"/lib/ld-musl-{os.uname().machine}.so.1")
MS = f"{LIMIT}ms"
NOTHING = {"UNACKED": "off", "KEEPALIVE": "off"}


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """`plain ask PORT`, `plain execute PROGRAM...`: dynamic, for musl."""
    return build_once(tmp_path_factory, "plain", "musl-gcc", directory="musl")


# --- what it says of them ---

def test_check():
    found = findings(check(CALL))
    assert not found["bad"] and not any("glibc" in line for lines in found.values() for line in lines), found
    one(found, "good", "dynamic, for musl (1.")
    one(found, "good", "names are looked up with a deadline, as musl does it")
    assert {"connect", "recvmsg", "poll"} <= set(one(found, "good", "calls that are bounded").split(":")[1].split())


def test_what_is_not_served_is_told(tmp_path):
    """And guarded, as programs that no preload reaches: check says so in place of what the library would do."""
    small = tmp_path / "small"
    small.write_bytes(b"\x7fELF\x01\x01\x01" + bytes(9) + elf32("/lib/ld-musl-i386.so.1"))
    small.chmod(0o755)
    found = findings(check(small), 1)
    one(found, "bad", "is a 32-bit program of musl")
    other = elf(tmp_path / "other", interpreter=b"/lib/ld-musl-riscv64.so.1", machine=243)
    one(findings(check(other), 1), "bad", "for another machine than the library")
    one(findings(check(elf(tmp_path / "away", interpreter=b"/lib/ld-musl-none.so.1"))), "note", "is not here to be asked")


def elf32(interpreter):
    from struct import pack
    text = interpreter.encode() + b"\0"
    return pack("<HHIIIIIHHHHHH", 2, 3, 1, 0, 52, 0, 0, 52, 32, 1, 0, 0, 0) + pack("<8I", 3, 84, 0, 0, len(text), len(text), 4, 1) + text


@pytest.fixture
def needy(tmp_path):
    """A library that needs what this musl lacks, as an old one lacks what ours needs: musl ends the program for it."""
    source = tmp_path / "needy.c"
    source.write_text("extern int musl_has_no_such_function(void);\nint needy(void) { return musl_has_no_such_function(); }\n")
    library = tmp_path / "libnetdeadline.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-nostdlib", "-Wl,-z,now", "-o", library, source], check=True)
    return library


def test_a_library_that_would_end_the_program_is_not_told(needy, plain):
    broken = subprocess.run([plain, "self"], env={"LD_PRELOAD": str(needy)}, capture_output=True)
    assert broken.returncode == 127, broken
    result = subprocess.run([look.COMMAND, "run", "--no-guard", "--library", needy, plain, "self"], capture_output=True, text=True)
    assert result.returncode == 7 and "lacks functions the library needs" in result.stderr, result
    command = shutil.copy(look.COMMAND, needy.parent)
    found = findings(check(plain, command=command), 1)
    one(found, "bad", "with it the program would not start")


# --- what it tells their loader ---

@pytest.fixture
def installed(tmp_path):
    """An installation whose library is told with $LIB."""
    lib = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
    prefix = tmp_path / "prefix"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib" / lib).mkdir(parents=True)
    shutil.copy(look.COMMAND.resolve(), prefix / "bin/netdeadline")
    library = shutil.copy(programs.LIBRARY.resolve(), prefix / "lib" / lib)
    return prefix, pathlib.Path(library)


def told(command, plain, *arguments, path_file=None):
    """What LD_PRELOAD is, and which programs have the library, of a tree: a shell of glibc, a program of musl, a shell, a program of musl."""
    tell = "echo $(grep -c 'r-xp.*libnetdeadline' /proc/$$/maps) \"$LD_PRELOAD\""
    tree = f'{tell}; exec "$1" execute /bin/sh -c \'{tell}; exec "$1" ask 1\' sh "$1"'
    start = [command, "run", "--connect", "5s", "--log", "stderr", *arguments]
    if path_file:  # where musl's loader looks is the host's; here it is another
        start = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', path_file, f"/etc/{LOADER.name[:-5]}.path", *start]
    return subprocess.run([*start, "/bin/sh", "-c", tree, "sh", plain], capture_output=True, text=True, timeout=20)


def maps(argv, command):
    """Which copies of the library a program has that is run by the command and waits."""
    program = subprocess.Popen([command, "run", *map(str, argv)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        return bool(until(lambda: look.library_of(program.pid), 3))
    finally:
        program.kill()
        program.wait()


def test_one_line_for_a_mixed_tree(installed, plain, tmp_path):
    """Behind the path with $LIB, which musl's loader does not know, stands the name by which that finds the library."""
    prefix, library = installed
    path_file = pathlib.Path(f"/etc/{LOADER.name[:-5]}.path")
    if not path_file.exists():
        pytest.skip(f"there is no {path_file} to be another")
    directory = tmp_path / "musl"
    directory.mkdir()
    (directory / "libnetdeadline.so").symlink_to(library)
    (tmp_path / "path").write_text(f"/nonexistent:{directory}\n")
    result = told(prefix / "bin/netdeadline", plain, path_file=tmp_path / "path")
    line = f"1 {prefix}/$LIB/libnetdeadline.so:libnetdeadline.so"
    assert result.stdout.splitlines() == [line, line, "Connection refused"] and not result.stderr, result


def test_musl_s_program_is_told_the_path(installed, plain):
    prefix, library = installed
    assert maps([CALL, "fgets", "sleep:5000"], prefix / "bin/netdeadline")
    found = findings(check(plain, command=prefix / "bin/netdeadline"))
    one(found, "note", "musl's loader knows no $LIB")
    result = subprocess.run([prefix / "bin/netdeadline", "run", plain, "execute", "/bin/sh", "-c", "echo $LD_PRELOAD"], capture_output=True, text=True)
    assert result.stdout == f"{library}\n" and not result.stderr, result


def test_a_path_serves_both(plain):
    result = told(look.COMMAND, plain, "--library", programs.LIBRARY.resolve())
    line = f"1 {programs.LIBRARY.resolve()}"
    assert result.stdout.splitlines() == [line, line, "Connection refused"] and not result.stderr, result


# --- what it sees and changes ---

WAITS = {"recv": "recv", "read": "read", "recvmsg": "recvmsg", "poll:in": "poll", "select:in": "select"}


def under_way(net, step, call, **limits):
    program = net.start([CALL, at(net.serve(tcp.silent)), step, "recv"], **limits)
    assert waiting(program, call)
    return program


def ended(program, began):
    call = finish(program)[-1]
    assert call.failed and time.monotonic() - began < LATEST / 1000, call


@pytest.mark.parametrize("limits", [{}, {"RECV": "60s", **NOTHING}, NOTHING], ids=["put on", "lowered", "past the library"])
@pytest.mark.parametrize("step", ["recv", "read", "recvmsg", "poll:in", "select:in"])
def test_set_reaches_calls_that_wait(net, step, limits):
    program = under_way(net, step, "recvfrom" if (limits, step) == (NOTHING, "recv") else WAITS[step], **limits)
    began = time.monotonic()
    netdeadline("set", pid_of(program), f"RECV={MS}")
    ended(program, began)


def test_set_reaches_a_send(net):
    server = net.open(tcp.never_reads)
    program = net.start([CALL, at(server), "fill", "send"], SEND="60s")
    assert waiting(program, "send")
    began = time.monotonic()
    netdeadline("set", pid_of(program), f"SEND={MS}")
    ended(program, began)


def test_ps_and_stats(net):
    server = net.serve(tcp.silent)
    program = net.start([CALL, at(server), "recv", "recv", "sleep:60000"], RECV="3s")
    assert until(lambda: waiting(program, "recv")["PROGRAM"] == "call")  # "env", by a ps that looked just before
    row = waiting(program, "recv")
    assert (row["PEER"], row["LIMIT"]) == (f"127.0.0.1:{server.port}", "RECV=3s"), row
    assert until(lambda: look.stats(pid_of(program))[pid_of(program)].get("recv", {}).get("expired") == 1), look.stats(pid_of(program))
    one(findings(check(str(pid_of(program)))), "good", "the library is at work in it")


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="elsewhere a return address may be in a register")
@pytest.mark.parametrize("limits", [{"RECV": "60s", **NOTHING}, NOTHING], ids=["bounded", "past the library"])
def test_stack(net, limits):
    """The functions that the program has called, and its own, beyond musl, which has nothing to unwind by; no name of another function."""
    program = under_way(net, "recv", "recv" if "RECV" in limits else "recvfrom", **limits)
    text = netdeadline("ps", "--stack", pid_of(program)).stdout.decode()
    frames = re.findall(r"^ +0x[0-9a-f]+ (\S+?)(?:\+0x[0-9a-f]+)? \((\S+)\)$", text, re.MULTILINE)
    own = [frame for frame in frames if frame[1] == "call"]
    inside = [name for name, _ in frames[:frames.index(own[0])] if name != "?"]
    assert [name for name, _ in own[:2]] == ["do_recv", "main"] and frames[0][0] == "?" and inside[0] in ["recvfrom", "poll", "ppoll"], text
    assert not limits.get("RECV") or any(file == "libnetdeadline.so" for _, file in frames), text


def test_end(net):
    program = under_way(net, "recv", "recv", RECV="60s")
    began = time.monotonic()
    [row] = ps(pid_of(program))
    netdeadline("end", pid_of(program), row["PEER"])
    ended(program, began)


def test_guard_leaves_them_to_the_library(net, plain):
    """Of two children of a shell that is guarded the library bounds the one that has it, by a limit of its own."""
    server = net.serve(tcp.silent)
    script = f'LD_PRELOAD={programs.LIBRARY} NETDEADLINE_RECV=3s "$0" ask "$1" & "$0" ask "$1"; wait'
    program = net.start(["sh", "-c", script, plain, server.port], library=False)
    with guarding(pid_of(program), recv="1s") as said:
        result = program.finish(15)
    ends = [line.split() for line in result.out.decode().splitlines()]
    assert len(ends) == 2 and ends[1] == ["Operation", "timed", "out"] and result.elapsed > 3 and len(said) == 1, (result, said)
