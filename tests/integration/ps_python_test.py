"""`netdeadline ps --stack` of programs in Python: their own frames, of each version that this host has; of others that there are none."""

import glob
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import programs
from look import netdeadline, ps, until

# Each line that a frame should show is marked by the frame's name.
PROGRAM = """
import socket, sys, threading
near, far = socket.socketpair()
def answer(s):
    got = [
        s.recv(1)]  # answer
    return got
class Client:
    def call(self, s):
        try:
            return max(map(answer, [s]))  # call
        finally:
            pass
def each(s):
    yield Client().call(s)  # each
def recurse(n, s):
    if n:
        return recurse(n - 1, s)  # recurse
    for _ in each(s):  # recurse, innermost
        pass
def other():
    far.recv(1)  # other
threading.Thread(target=other, daemon=True).start()
print(flush=True)
recurse(3, near)  # <module>
"""


def line_of(mark):
    return next(number for number, line in enumerate(PROGRAM.splitlines(), 1) if line.endswith(f"# {mark}"))


def pythons():
    """The interpreters from 3.9 on, one of each version and place; with a sanitizer, which is slow, only this one."""
    if programs.RUNTIME:
        return [sys.executable]
    found = {}
    for path in [sys.executable, *glob.glob("/usr/bin/python3.*"), *glob.glob("/usr/local/bin/python3.*"),
                 *glob.glob(str(pathlib.Path.home() / ".pyenv/versions/3.*/bin/python3"))]:
        if not re.fullmatch(r"python3?(\.\d+)?", pathlib.Path(path).name):
            continue
        version = subprocess.run([path, "-c", "import sys; print(sys.version_info[1], sys.implementation.name, hasattr(sys, 'abiflags') and 't' in sys.abiflags)"],
                                 capture_output=True, text=True, timeout=60).stdout.split()
        if len(version) == 3 and 9 <= int(version[0]) <= 13 and version[1:] == ["cpython", "False"]:
            found[pathlib.Path(path).resolve()] = path
    return sorted(found.values())


@pytest.fixture
def start(tmp_path):
    started = []

    def run(*command):
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL))
        started[-1].stdout.readline()
        return started[-1]

    yield run
    for each in started:
        each.kill()
        each.wait()
        each.stdout.close()


def frames(text, tid):
    """What stands below the thread's row."""
    rows = text.split("\n")
    at = next(number for number, row in enumerate(rows) if row.split()[1:2] == [str(tid)])
    below = []
    for row in rows[at + 1:]:
        if not row.startswith("        "):
            break
        below.append(row[8:])
    return below


@pytest.mark.skipif(sys.maxsize < 2**32, reason="read of 64-bit programs only")
@pytest.mark.parametrize("python", pythons(), ids=lambda path: path.strip("/").replace("/", "-"))
def test_frames(start, tmp_path, python):
    script = tmp_path / "näme.py"
    script.write_text(PROGRAM)
    program = start(python, script)
    blocked = until(lambda: len(rows := ps(program.pid)) == 2 and rows)
    assert blocked, ps(program.pid)
    text = netdeadline("ps", "--stack", program.pid).stdout.decode("ascii")
    name = str(script).replace("ä", "\\u00e4")
    expected = [f"Python: {function} ({name}:{line_of(mark)})" for function, mark in [
        ("answer", "answer"), ("call", "call"), ("each", "each"), ("recurse", "recurse, innermost"), *[("recurse", "recurse")] * 3,
        ("<module>", "<module>")]]
    assert [line for line in frames(text, program.pid) if line.startswith("Python")] == expected, text
    other = next(row["TID"] for row in blocked if row["TID"] != str(program.pid))
    assert f"Python: other ({name}:{line_of('other')})" in frames(text, other), text
    assert program.poll() is None and "TracerPid:\t0" in pathlib.Path(f"/proc/{program.pid}/status").read_text()


@pytest.mark.skipif(not shutil.which("perl"), reason="perl is not installed")
def test_perl_has_none(start):
    program = start("perl", "-e", "use Socket; socketpair(A, B, AF_UNIX, SOCK_STREAM, 0); $| = 1; print \"\\n\"; recv(A, $x, 1, 0)")
    assert until(lambda: [row["CALL"] for row in ps(program.pid)] == ["recvfrom"])
    text = netdeadline("ps", "--stack", program.pid).stdout.decode()
    assert frames(text, program.pid)[-1] == "(no frames of the program's own language: Perl's are not read)", text


def test_other_programs_say_nothing(start):
    program = start(sys.executable, "-c", "import os; print(flush=True); os.execvp('sleep', ['sleep', '60'])")
    assert until(lambda: pathlib.Path(f"/proc/{program.pid}/comm").read_text() == "sleep\n")
    assert "language" not in netdeadline("ps", "--stack", program.pid).stdout.decode()


def test_a_script_under_the_library(net):
    """A call with a slot has its frames, too."""
    program = net.start(programs.child("a, b = socket.socketpair()\ndef wait(): return a.recv(1)\nwait()"), RECV="60s")
    assert until(lambda: any(row["CALL"].startswith("recv") for row in ps(program.process.pid)))
    text = netdeadline("ps", "--stack", program.process.pid).stdout.decode()
    assert re.search(r"^        Python: wait \(<string>:\d+\)$", text, re.M), text
