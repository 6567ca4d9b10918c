"""`netdeadline top`: the same as ps, in a terminal, and the terminal is left as it was found."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

import look
from calls import CALL, at
from faults import tcp
from look import netdeadline, pid_of


class Terminal:
    def __init__(self, *arguments, rows=24, columns=100, **more):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen([look.COMMAND, "top", *map(str, arguments)], stdin=self.slave, stdout=self.slave,
                                        stderr=subprocess.PIPE, env={"PATH": os.environ["PATH"], "TERM": "xterm", **more},
                                        start_new_session=True)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, wanted, patience=10):
        seen, end = b"", time.monotonic() + patience
        while wanted not in seen and time.monotonic() < end:
            if select.select([self.master], [], [], 0.1)[0]:
                seen += os.read(self.master, 65536)
        assert wanted in seen, seen
        return seen

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal():
    started = []

    def start(*arguments, **size):
        started.append(Terminal(*arguments, **size))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def program(net):
    server = net.serve(tcp.silent)
    program = net.start([CALL, at(server), "recv"], RECV="30s")
    look.waiting(program, "recv")
    return program


@pytest.mark.parametrize("end", ["q", signal.SIGINT, signal.SIGTERM])
def test_shows_and_restores(terminal, program, end):
    screen = terminal(pid_of(program))
    screen.read_until(b"RECV=30s")
    screen.read_until(b"RECV=30s")  # a second time: it is live
    assert termios.tcgetattr(screen.slave)[3] & termios.ICANON == 0
    if end == "q":
        os.write(screen.master, b"q")
    else:
        screen.process.send_signal(end)
    screen.read_until(b"\x1b[?1049l")
    assert screen.process.wait(10) == 0
    assert termios.tcgetattr(screen.slave) == screen.before


def test_fits_any_size(terminal, program):
    screen = terminal(pid_of(program), rows=5, columns=20)
    seen = screen.read_until(b"\x1b[J")
    lines = seen.split(b"\x1b[H")[-1].split(b"\x1b[J")[0].replace(b"\x1b[K", b"").split(b"\r\n")
    assert len(lines) <= 5 and all(len(line) <= 20 for line in lines), lines
    screen.resize(40, 120)
    screen.process.send_signal(signal.SIGWINCH)
    screen.read_until(b"RECV=30s")
    screen.resize(1, 1)
    screen.process.send_signal(signal.SIGWINCH)
    screen.read_until(b"\x1b[J")
    assert screen.process.poll() is None


def overdue(net):
    """A program under MODE=observe that has waited for longer than its limit, which ends nothing."""
    server = net.serve(tcp.silent)
    program = net.start([CALL, at(server), "recv"], RECV="100ms", MODE="observe")
    look.waiting(program, "recv")
    return pid_of(program)


def test_shows_how_much_is_used_and_what_is_overdue(net, terminal, program):
    screen = terminal(overdue(net), pid_of(program))
    seen = screen.read_until(b"\x1b[J") + screen.read_until(b"\x1b[J") + screen.read_until(b"\x1b[J")
    rows = [line for line in seen.split(b"\x1b[J")[2].splitlines() if b"RECV" in line]
    late, early = sorted(rows, key=lambda row: b"observed" not in row)
    assert late.startswith(b"\x1b[1;31m") and b"[##########]" in late and b"\x1b[0m" in late, rows
    assert b"\x1b[1;31m" not in early and b"....." in early, rows


def test_no_color(net, terminal):
    screen = terminal(overdue(net), NO_COLOR="1")
    seen = screen.read_until(b"[##########]")
    assert not re.search(rb"\x1b\[[0-9;]*m", seen), seen


def test_needs_a_terminal():
    assert b"terminal" in netdeadline("top", status=125).stderr
    netdeadline("top", "x", status=2)
